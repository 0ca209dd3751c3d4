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
use sqlx::{FromRow, PgPool};

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

/// Looks at no more than the first `limit` rows that `cursor` has not passed. One statement; rows of transactions that are still open are not seen.
///
/// # Errors
/// [`Error::Statement`].
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn look(pool: &PgPool, cursor: &Cursor, limit: u32) -> Result<Look, Error> {
    let lines = match cursor {
        Cursor::At(from) => after_snapshot(pool, from, limit).await,
        Cursor::Inside { from, seq, .. } => after_row(pool, from, *seq, limit).await,
    };
    let lines = lines.map_err(Error::at("looking for rows that wait"))?;
    let mut look = Look::default();
    let mut seen = 0;
    for Line { topic, rows, oldest_s, now } in lines {
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

/// Transactions that were open at the snapshot and have finished since, and everything from its `xmax` on: both through `(xid, seq)`.
async fn after_snapshot(
    pool: &PgPool,
    from: &Snapshot,
    limit: u32,
) -> Result<Vec<Line>, sqlx::Error> {
    sqlx::query_as(
        "with behind as materialized (
             (select topic, created_at from dionysus.outbox
              where xid = any($1::text[]::xid8[]) order by xid, seq limit $3)
             union all
             (select topic, created_at from dionysus.outbox
              where xid >= $2::text::xid8 order by xid, seq limit $3))
         select topic, count(*) as rows,
                extract(epoch from clock_timestamp() - min(created_at))::float8 as oldest_s, clock_timestamp() as now
         from behind group by topic
         union all
         select null, 0, null, clock_timestamp()",
    )
    .bind(from.in_progress().iter().map(ToString::to_string).collect::<Vec<_>>())
    .bind(from.xmax().to_string())
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
}

/// Inside a large window the rows behind the place are found by their number; those that the window's beginning knew are not counted.
async fn after_row(
    pool: &PgPool,
    from: &Snapshot,
    seq: i64,
    limit: u32,
) -> Result<Vec<Line>, sqlx::Error> {
    sqlx::query_as(
        "with behind as materialized (
             select topic, created_at, pg_visible_in_snapshot(xid, $1::text::pg_snapshot) as passed
             from dionysus.outbox where seq > $2 order by seq limit $3)
         select case when passed then null else topic end as topic, count(*) as rows,
                extract(epoch from clock_timestamp() - min(created_at))::float8 as oldest_s, clock_timestamp() as now
         from behind group by 1
         union all
         select null, 0, null, clock_timestamp()",
    )
    .bind(from.to_string())
    .bind(seq)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
}
