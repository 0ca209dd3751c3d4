//! What waits behind a cursor, by a look that is bounded: for health and metrics, not for publishing.
//!
//! The look reads the first rows behind the cursor through the index in which they stand together, whatever their topic, and
//! counts them by topic afterwards. No index serves *the first row of this topic behind this cursor*, and one that did would cost every
//! insert: a condition on the topic inside the look would read a busy neighbour's rows for as long as it finds none of ours.
//! So a look may come back without an answer for a quiet topic, and says so ([`Look::is_cut`]).

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dionysus_core::{Cursor, Snapshot};
use sqlx::{AssertSqlSafe, FromRow, PgPool};

use crate::Error;

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// By topic; without those of which it saw no row.
    pub topics: HashMap<String, Waiting>,
    /// There may be more rows, of any topic, than it looked at.
    pub is_cut: bool,
    /// The database's clock at the look.
    pub now: DateTime<Utc>,
}

/// Rows that wait, of one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waiting {
    /// How many; at least that, if the look was cut.
    pub rows: u64,
    /// The age of the oldest.
    pub oldest: Duration,
}

/// A line of the answer; the one without a topic carries the clock alone.
#[derive(FromRow)]
struct Line {
    topic: Option<String>,
    rows: i64,
    oldest_s: Option<f64>,
    now: DateTime<Utc>,
}

/// Looks at no more than the first `limit` rows that `cursor` has not passed. One round trip; rows of transactions that are still open are not seen.
///
/// # Errors
/// [`Error::Statement`].
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn look(pool: &PgPool, cursor: &Cursor, limit: u32) -> Result<Look, Error> {
    let select = match cursor {
        Cursor::At(from) => after_snapshot(from, limit),
        Cursor::Inside { from, seq, .. } => after_row(from, *seq, limit),
    };
    // One message, so one transaction, which the settings end with: without them the planner may read and sort all of a long transaction, or scan.
    // Only numbers and a snapshot's text are put into it.
    let rows = sqlx::raw_sql(AssertSqlSafe(format!(
        "set local enable_seqscan = off; set local enable_bitmapscan = off; set local jit = off; {select}"
    )))
    .fetch_all(pool)
    .await;
    let lines: Result<Vec<Line>, _> =
        rows.and_then(|rows| rows.iter().map(Line::from_row).collect());
    let mut look = Look::default();
    let mut seen = 0;
    for Line { topic, rows, oldest_s, now } in lines.map_err(Error::at("looking for what waits"))? {
        look.now = now;
        let rows = u64::try_from(rows).unwrap_or(0);
        seen += rows;
        if let Some(topic) = topic {
            // The clock may have been set back since the row was written.
            let oldest = Duration::try_from_secs_f64(oldest_s.unwrap_or(0.0)).unwrap_or_default();
            look.topics.insert(topic, Waiting { rows, oldest });
        }
    }
    look.is_cut = seen >= u64::from(limit);
    Ok(look)
}

/// Transactions that were open at the snapshot and have finished since, each by itself (a list of ids gives no order), and everything from
/// its `xmax` on: both through `(xid, seq)`.
fn after_snapshot(from: &Snapshot, limit: u32) -> String {
    let open: Vec<String> = from.in_progress().iter().map(ToString::to_string).collect();
    let (open, xmax) = (open.join(","), from.xmax());
    format!(
        "with behind as materialized (
             (select r.* from unnest('{{{open}}}'::xid8[]) as finished (id)
              cross join lateral (
                  select topic, created_at from dionysus.outbox
                  where xid = finished.id order by xid, seq limit {limit}) as r
              limit {limit})
             union all
             (select topic, created_at from dionysus.outbox
              where xid >= '{xmax}'::xid8 order by xid, seq limit {limit}))
         select topic, count(*) as rows,
                extract(epoch from clock_timestamp() - min(created_at))::float8 as oldest_s, clock_timestamp() as now
         from behind group by topic
         union all
         select null, 0, null, clock_timestamp()"
    )
}

/// Inside a large window the rows behind the place are found by their number; those that the window's beginning knew are not counted.
fn after_row(from: &Snapshot, seq: i64, limit: u32) -> String {
    format!(
        "with behind as materialized (
             select topic, created_at, pg_visible_in_snapshot(xid, '{from}'::pg_snapshot) as passed
             from dionysus.outbox where seq > {seq} order by seq limit {limit})
         select case when passed then null else topic end as topic, count(*) as rows,
                extract(epoch from clock_timestamp() - min(created_at))::float8 as oldest_s, clock_timestamp() as now
         from behind group by 1
         union all
         select null, 0, null, clock_timestamp()"
    )
}
