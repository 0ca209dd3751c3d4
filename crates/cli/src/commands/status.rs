//! `dionysus status`: lanes and relays, as the database knows them.

use dionysus_postgres::lanes::{self, Lane};
use dionysus_postgres::relays::{self, Relay};
use dionysus_service::Report;
use serde_json::json;

use crate::settings::Settings;
use crate::table::Table;
use crate::{output, reports};

/// Where the database stops counting.
const PENDING_COUNTED_MAX: i64 = 10_000;

pub(super) async fn run(settings: &Settings, json: bool) -> Result<(), Report> {
    let pool = settings.migrated_database().await?;
    let lanes = lanes::all(&pool).await.map_err(reports::postgres)?;
    let relays = relays::all(&pool).await.map_err(reports::postgres)?;
    if json {
        output::print_json(&json!({
            "lanes": lanes.iter().map(lane_json).collect::<Vec<_>>(),
            "relays": relays.iter().map(relay_json).collect::<Vec<_>>(),
        }))
    } else {
        output::print(&text(&lanes, &relays))
    }
}

fn text(lanes: &[Lane], relays: &[Relay]) -> String {
    let lanes = if lanes.is_empty() {
        "no lanes: no application has registered topics\n".to_owned()
    } else {
        let mut table = Table::new([
            "lane",
            "owner",
            "epoch",
            "pending",
            "oldest",
            "quarantined",
            "checkpoint",
            "cursor",
        ]);
        for lane in lanes {
            table.row([
                lane.topic.clone(),
                lane.owner.clone().unwrap_or_else(|| "-".into()),
                lane.epoch.to_string(),
                pending(lane.pending),
                age(lane.oldest_pending_s),
                lane.quarantined.to_string(),
                lane.checkpoint_age_s
                    .map_or_else(|| "never".into(), |s| format!("{} ago", age(Some(s)))),
                format!("{}{}", lane.cursor, if lane.in_window { " (in a window)" } else { "" }),
            ]);
        }
        table.to_string()
    };
    let relays = if relays.is_empty() {
        "no relays: start `outbox-relay`\n".to_owned()
    } else {
        let mut table = Table::new(["relay", "lanes", "up", "lease"]);
        for relay in relays {
            let lease = if relay.lease_s > 0.0 {
                age(Some(relay.lease_s))
            } else {
                format!("ran out {} ago", age(Some(-relay.lease_s)))
            };
            table.row([
                relay.name.clone(),
                relay.lanes.to_string(),
                age(Some(relay.uptime_s)),
                lease,
            ]);
        }
        table.to_string()
    };
    format!("{lanes}\n{relays}")
}

fn lane_json(lane: &Lane) -> serde_json::Value {
    json!({
        "topic": lane.topic,
        "genesis_replica": lane.genesis_replica,
        "owner": lane.owner,
        "epoch": lane.epoch,
        "cursor": lane.cursor,
        "in_window": lane.in_window,
        "checkpoint_age_s": lane.checkpoint_age_s,
        "pending": lane.pending,
        "pending_is_at_least": lane.pending >= PENDING_COUNTED_MAX,
        "oldest_pending_s": lane.oldest_pending_s,
        "quarantined": lane.quarantined,
    })
}

fn relay_json(relay: &Relay) -> serde_json::Value {
    json!({
        "id": relay.id.to_string(),
        "name": relay.name,
        "lanes": relay.lanes,
        "uptime_s": relay.uptime_s,
        "lease_s": relay.lease_s,
    })
}

fn pending(rows: i64) -> String {
    if rows >= PENDING_COUNTED_MAX { format!("{rows}+") } else { rows.to_string() }
}

/// Two digits that matter: `0.4s`, `12s`, `5m`, `3h`, `2d`.
fn age(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return "-".into();
    };
    match seconds {
        s if s < 10.0 => format!("{s:.1}s"),
        s if s < 120.0 => format!("{s:.0}s"),
        s if s < 7_200.0 => format!("{:.0}m", s / 60.0),
        s if s < 172_800.0 => format!("{:.0}h", s / 3_600.0),
        s => format!("{:.0}d", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        Lane {
            topic: "v3_rentals".into(),
            genesis_replica: false,
            owner: Some("host-1".into()),
            epoch: 3,
            cursor: "749:749:".into(),
            in_window: true,
            checkpoint_age_s: Some(0.42),
            pending: 10_000,
            oldest_pending_s: Some(75.0),
            quarantined: 12,
        }
    }

    #[test]
    fn lanes_and_relays_are_two_tables() {
        let idle = Lane {
            topic: "v3_fees".into(),
            owner: None,
            epoch: 0,
            cursor: "1:1:".into(),
            in_window: false,
            checkpoint_age_s: None,
            pending: 0,
            oldest_pending_s: None,
            quarantined: 0,
            ..lane()
        };
        let relay = |name: &str, lease_s| Relay {
            id: uuid::Uuid::nil(),
            name: name.into(),
            uptime_s: 7_200.0,
            lease_s,
            lanes: 1,
        };
        let shown = text(&[idle, lane()], &[relay("host-1", 9.3), relay("host-2", -30.0)]);
        assert_eq!(
            shown,
            "\
LANE        OWNER   EPOCH  PENDING  OLDEST  QUARANTINED  CHECKPOINT  CURSOR
v3_fees     -       0      0        -       0            never       1:1:
v3_rentals  host-1  3      10000+   75s     12           0.4s ago    749:749: (in a window)

RELAY   LANES  UP  LEASE
host-1  1      2h  9.3s
host-2  1      2h  ran out 30s ago
"
        );
    }

    #[test]
    fn nothing_there_is_said_with_what_to_do() {
        assert_eq!(
            text(&[], &[]),
            "no lanes: no application has registered topics\n\nno relays: start `outbox-relay`\n"
        );
    }
}
