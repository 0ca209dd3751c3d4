//! What the tables need beside publishing: partitions made ahead, published rows retired. The protocol of the latter is in
//! [`dionysus_postgres::retention`].

use std::time::Duration;

use dionysus_postgres::partitions;
use dionysus_postgres::retention::{self, Hold, Retired, Standing};
use rand::Rng as _;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::Chain;

/// How often missing partitions are looked for; days are made several ahead, so an hour is soon enough, and a failure is mended within ten minutes.
const MAINTENANCE: Duration = Duration::from_mins(10);

/// Between two rounds of retention, give or take a fifth: relays that were started together do not come together for ever.
const ROUND: Duration = Duration::from_mins(1);
const JITTER: f64 = 0.2;

/// How often an alarm that stays is repeated.
const REMINDER: Duration = Duration::from_hours(1);

/// How the outbox stands: what to show of retention, and when to be alarmed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retention {
    /// How long rows are kept; `None` if retention is off.
    pub keep: Option<Duration>,
    /// As of the last round of this relay.
    pub standing: Standing,
    /// What holds rows has done so for longer than `keep` beyond their age: the disk fills.
    pub is_alarming: bool,
    /// Rows that this relay has retired; of large leaves Postgres's estimate.
    pub rows_retired: u64,
    /// Leaves that this relay has truncated.
    pub leaves_truncated: u64,
    /// When the last round ended without an error.
    pub looked_at: Option<Instant>,
}

impl Retention {
    /// From how much overdue on something is wrong: rows are then twice as old as they should become.
    fn alarm_after(&self) -> Duration {
        self.keep.unwrap_or(Duration::MAX)
    }

    fn take_in(&mut self, retired: &[Retired], standing: Standing) {
        for gone in retired {
            self.rows_retired += gone.rows;
            self.leaves_truncated += u64::from(gone.how == retention::How::Truncated);
        }
        self.is_alarming = standing.held_by.is_some() && standing.overdue > self.alarm_after();
        self.standing = standing;
        self.looked_at = Some(Instant::now());
    }
}

/// Makes partitions ahead, for ever.
pub(crate) async fn make_partitions(pool: PgPool, ahead: u32) {
    let mut ticks = tokio::time::interval(MAINTENANCE);
    loop {
        ticks.tick().await;
        match partitions::make_ahead(&pool, ahead).await {
            Ok(0) => {}
            Ok(made) => tracing::info!(made, "partitions made"),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "partitions not made, the default partition takes the rows");
            }
        }
    }
}

/// Retires rows that every lane has passed, for ever. Every relay does it: a round that finds nothing costs a few index entries.
pub(crate) async fn retire(pool: PgPool, keep: Duration, figures: watch::Sender<Retention>) {
    let mut alarmed: Option<(Hold, Instant)> = None;
    loop {
        let spread = rand::rng().random_range(1.0 - JITTER..1.0 + JITTER);
        // The first comes soon: a relay that restarts every half minute must not be one that never retires anything.
        let first = figures.borrow().looked_at.is_none();
        tokio::time::sleep(if first { ROUND / 10 } else { ROUND }.mul_f64(spread)).await;
        match retention::round(&pool, keep).await {
            Ok(round) => {
                tell(&round.retired);
                figures.send_modify(|figures| figures.take_in(&round.retired, round.standing));
                alarm(&figures.borrow(), &mut alarmed);
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "published rows not retired, trying again");
            }
        }
    }
}

fn tell(retired: &[Retired]) {
    for Retired { leaf, how, rows, bytes } in retired {
        match how {
            retention::How::Truncated => {
                tracing::info!(leaf, rows, bytes, "leaf truncated");
            }
            retention::How::Deleted => tracing::info!(leaf, rows, "published rows deleted"),
            retention::How::Dropped => tracing::info!(leaf, "empty leaf dropped"),
        }
    }
}

/// Says it once, and again when it changes or stays.
fn alarm(figures: &Retention, alarmed: &mut Option<(Hold, Instant)>) {
    let Retention { standing, is_alarming, .. } = figures;
    let Some(hold) = standing.held_by.as_ref().filter(|_| *is_alarming) else {
        if alarmed.take().is_some() {
            tracing::info!("retention goes on");
        }
        return;
    };
    if alarmed.as_ref().is_some_and(|(known, at)| known == hold && at.elapsed() < REMINDER) {
        return;
    }
    let topic = if let Hold::Lane { topic } = hold { Some(topic) } else { None };
    tracing::warn!(
        topic,
        cause = %hold,
        oldest_leaf = standing.oldest_leaf,
        overdue_s = standing.overdue.as_secs(),
        bytes = standing.bytes,
        remedy = remedy(hold),
        "retention is held, the outbox grows"
    );
    *alarmed = Some((hold.clone(), Instant::now()));
}

const fn remedy(hold: &Hold) -> &'static str {
    match hold {
        Hold::Lane { .. } => {
            "see `dionysus status`; let the lane go on, or end it with `dionysus topics retire`"
        }
        Hold::OpenTransaction => {
            "end the oldest transaction of the cluster: see pg_stat_activity and pg_prepared_xacts"
        }
        Hold::Lock { .. } => "see in pg_locks who holds the partition",
        Hold::Rights => {
            "let the relay's role own the outbox's tables, or grant it DELETE on dionysus.outbox"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_hours(72);

    fn after(overdue: Duration, held_by: Option<Hold>) -> Retention {
        let mut figures = Retention { keep: Some(KEEP), ..Retention::default() };
        figures.take_in(&[], Standing { overdue, held_by, ..Standing::default() });
        figures
    }

    #[test]
    fn what_is_held_for_twice_as_long_as_it_is_kept_is_alarming() {
        let lane = || Some(Hold::Lane { topic: "v3_rentals".into() });
        assert!(!after(KEEP, lane()).is_alarming);
        assert!(after(KEEP + Duration::from_secs(1), lane()).is_alarming);
        assert!(
            !after(KEEP * 2, None).is_alarming,
            "nothing holds it, it goes with the next round"
        );
    }

    #[test]
    fn an_alarm_is_said_once_and_again_when_its_cause_changes() {
        let mut alarmed = None;
        let lane = |topic: &str| after(KEEP * 2, Some(Hold::Lane { topic: topic.into() }));
        alarm(&lane("v3_a"), &mut alarmed);
        let first = alarmed.clone().unwrap();
        alarm(&lane("v3_a"), &mut alarmed);
        assert_eq!(alarmed, Some(first.clone()));
        alarm(&lane("v3_b"), &mut alarmed);
        assert_ne!(alarmed.as_ref().map(|(hold, _)| hold), Some(&first.0));
        alarm(&after(Duration::ZERO, None), &mut alarmed);
        assert_eq!(alarmed, None);
    }
}
