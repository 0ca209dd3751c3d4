//! What the database says of itself.

use std::time::Duration;

use dionysus_postgres::lanes::{self, Lane};
use dionysus_postgres::retention::{self, Hold, Standing};
use dionysus_postgres::{Error, partitions, quarantine, relays, rights, schema, timeline};
use dionysus_service::{RetentionConfig, duration};
use sqlx::PgPool;

use super::finding::Finding;

/// A row that waits for longer than this is late.
const LATE_S: f64 = 60.0;

/// Adds what is found; false if there is no schema to look at further.
pub(super) async fn look(
    pool: &PgPool,
    retention: &RetentionConfig,
    findings: &mut Vec<Finding>,
) -> bool {
    if let Err(error) = schema::check(pool).await {
        findings.push(Finding::of_postgres("schema", &error));
        return false;
    }
    findings.push(Finding::ok("schema", "fits this program"));
    for (check, found) in [
        ("history", history(pool).await),
        ("rights", rights(pool).await),
        ("partitions", partitions(pool).await),
        ("lanes", lanes(pool).await),
        ("quarantine", quarantine(pool).await),
        ("retention", retained(pool, retention).await),
    ] {
        findings.extend(found.unwrap_or_else(|error| vec![Finding::of_postgres(check, &error)]));
    }
    true
}

type Found = Result<Vec<Finding>, Error>;

async fn history(pool: &PgPool) -> Found {
    let timeline = timeline::check(pool).await?;
    Ok(vec![Finding::ok(
        "history",
        format!("the server is the one we knew, on timeline {timeline}"),
    )])
}

async fn rights(pool: &PgPool) -> Found {
    let mut found: Vec<Finding> = rights::of_relay(pool)
        .await?
        .into_iter()
        .map(|missing| {
            let rights::Missing { object, right } = missing;
            Finding::fault("rights", format!("this role lacks {right} on {object}")).remedy(
                format!(
                    "grant {right} on {object} to the relay's role, or run the doctor as that role"
                ),
            )
        })
        .collect();
    let partitions = rights::on_partitions(pool).await?;
    if !partitions.owns && partitions.deletes {
        found.push(Finding::note(
            "rights",
            "this role does not own the outbox: it makes no partitions, and retention deletes rows in batches",
        ));
    } else if !partitions.owns {
        found.push(Finding::fault("rights", "this role can't retire published rows").remedy(
            "let the relay's role own the outbox's tables, or grant it DELETE on dionysus.outbox",
        ));
    }
    if found.is_empty() {
        found.push(Finding::ok("rights", "all that a relay needs"));
    }
    Ok(found)
}

async fn partitions(pool: &PgPool) -> Found {
    let mut conn = pool.acquire().await.map_err(|source| Error::Statement {
        statement: "looking for missing partitions",
        source,
    })?;
    let missing = partitions::missing(&mut conn, 1).await?;
    Ok(vec![match missing.last() {
        None => Finding::ok("partitions", "made ahead"),
        Some(day) => Finding::note(
            "partitions",
            format!("none for {day}: its rows go to the default partition, from which they are deleted one by one"),
        )
        .remedy("start a relay whose role owns the outbox's tables: it makes them ahead"),
    }])
}

async fn lanes(pool: &PgPool) -> Found {
    let lanes = lanes::all(pool).await?;
    let live = relays::all(pool).await?.iter().filter(|relay| relay.lease_s > 0.0).count();
    let mut found: Vec<Finding> = lanes.iter().filter_map(late).collect();
    if live == 0 && !lanes.is_empty() {
        let fault = Finding::fault("lanes", "no relay runs");
        found.push(fault.remedy("start `outbox-relay`, and see its log"));
    } else if found.is_empty() {
        found.push(Finding::ok(
            "lanes",
            format!("{} lanes, {live} relays, nothing waits for long", lanes.len()),
        ));
    }
    Ok(found)
}

fn late(lane: &Lane) -> Option<Finding> {
    let oldest_s = lane.oldest_pending_s.filter(|oldest_s| *oldest_s > LATE_S)?;
    let owner = lane.owner.as_deref().unwrap_or("nobody");
    let what = format!(
        "{} is behind: its oldest row waits for {oldest_s:.0}s, it belongs to {owner}",
        lane.topic
    );
    Some(Finding::fault("lanes", what).remedy("see the relay's log and /readyz for the cause"))
}

async fn quarantine(pool: &PgPool) -> Found {
    let topics: Vec<String> = lanes::all(pool).await?.into_iter().map(|lane| lane.topic).collect();
    let found: Vec<Finding> = quarantine::keys(pool, &topics)
        .await?
        .iter()
        .map(|(topic, keys)| {
            let rows: u64 = keys.values().sum();
            Finding::fault(
                "quarantine",
                format!("{topic} has {rows} rows of {} keys in quarantine", keys.len()),
            )
            .remedy(format!("see `dionysus quarantine list --topic {topic}`"))
        })
        .collect();
    Ok(if found.is_empty() { vec![Finding::ok("quarantine", "empty")] } else { found })
}

async fn retained(pool: &PgPool, config: &RetentionConfig) -> Found {
    let Some(keep) = config.kept() else {
        return Ok(vec![Finding::note("retention", "off: the outbox grows")]);
    };
    Ok(vec![judge(&retention::standing(pool, keep).await?, keep)])
}

fn judge(standing: &Standing, keep: Duration) -> Finding {
    let Standing { leaves, bytes, held_by, overdue, .. } = standing;
    let size = format!("{leaves} partitions with {:.1} MiB", mebibytes(*bytes));
    let overdue_h = overdue.as_secs() / 3_600;
    match held_by {
        Some(Hold::Lane { topic }) => {
            let what = format!(
                "{size}; lane `{topic}` has not passed what is {overdue_h}h older than {}",
                duration::format(keep)
            );
            let remedy = "let the lane go on, or end it with `dionysus topics retire`";
            if *overdue > keep {
                Finding::fault("retention", what)
            } else {
                Finding::note("retention", what)
            }
            .remedy(remedy)
        }
        // A relay retires each minute, leaf by leaf.
        _ if *overdue > keep => Finding::fault(
            "retention",
            format!(
                "{size}; what is {overdue_h}h older than {} is still there",
                duration::format(keep)
            ),
        )
        .remedy("see a relay's log for what it says of retention"),
        _ => Finding::ok("retention", size),
    }
}

/// Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no disk is that large")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::State;

    #[test]
    fn a_lane_that_holds_rows_for_twice_as_long_is_a_fault() {
        let keep = Duration::from_hours(72);
        let held = |hours| {
            let held_by = Some(Hold::Lane { topic: "v3_rentals".into() });
            let overdue = Duration::from_hours(hours);
            judge(&Standing { overdue, held_by, ..Standing::default() }, keep)
        };
        assert_eq!(held(1).state, State::Note);
        let fault = held(73);
        assert_eq!(fault.state, State::Fault);
        assert!(
            fault.what.contains("`v3_rentals` has not passed what is 73h older than 3d"),
            "{}",
            fault.what
        );
        assert_eq!(judge(&Standing::default(), keep).state, State::Ok);
    }
}
