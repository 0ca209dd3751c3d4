//! Deleting rows in bounded batches: in the DEFAULT partition, whose younger rows must stay, and in the whole outbox where the
//! role may not truncate.
//!
//! The conditions are those of a leaf, row by row: old, of a transaction below every lane's `S.xmin`, at or below a settled floor. Rows go in order of their
//! numbers, so that the last row of a key goes last.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::{Hold, How, Retired, floors, is_in_the_way};
use crate::Error;

/// Rows in a transaction: tens of milliseconds.
const BATCH: i64 = 5_000;

/// Rows at the front that a round looks at.
const FRONT: i64 = 100_000;

/// A round ends after this; the next goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// What may go from the front of a table.
#[derive(FromRow)]
struct Front {
    /// The highest number of an old row.
    top_seq: Option<i64>,
    /// Of a floor that is settled.
    settled: Option<i64>,
    is_floored: bool,
    /// The lane that has not passed the first old row.
    held_by: Option<String>,
}

/// Deletes what may go from `table`, which is quoted.
pub(super) async fn delete(
    conn: &mut PgConnection,
    table: &str,
    keep: Duration,
    retired: &mut Vec<Retired>,
) -> Result<Option<Hold>, Error> {
    let mut front = look(conn, table, keep).await?;
    let Some(top) = front.top_seq else { return Ok(None) };
    if let Some(topic) = front.held_by {
        return Ok(Some(Hold::Lane { topic }));
    }
    if !front.is_floored {
        floors::write(conn, top, table).await?;
        front = look(conn, table, keep).await?;
    }
    let Some(settled) = front.settled else { return Ok(Some(Hold::OpenTransaction)) };
    let (rows, in_the_way) = batches(conn, table, keep, top.min(settled)).await?;
    if rows > 0 {
        retired.push(Retired { leaf: table.to_owned(), how: How::Deleted, rows, bytes: 0 });
    }
    if in_the_way {
        return Ok(Some(Hold::Lock { leaf: table.to_owned() }));
    }
    let left = look(conn, table, keep).await?;
    Ok(match (left.top_seq, left.held_by) {
        (Some(_), Some(topic)) => Some(Hold::Lane { topic }),
        (Some(left), None) if settled < left && settled < top => Some(Hold::OpenTransaction),
        _ => None,
    })
}

/// Returns how many rows went, and whether somebody stood in the way.
async fn batches(
    conn: &mut PgConnection,
    table: &str,
    keep: Duration,
    upto: i64,
) -> Result<(u64, bool), Error> {
    let (started, mut rows) = (Instant::now(), 0);
    while started.elapsed() < PATIENCE {
        match batch(conn, table, keep, upto).await {
            Ok(0) => break,
            Ok(deleted) => rows += deleted,
            Err(error) if is_in_the_way(&error) => return Ok((rows, true)),
            Err(error) => return Err(Error::at("deleting published rows")(error)),
        }
    }
    Ok((rows, false))
}

async fn batch(
    conn: &mut PgConnection,
    table: &str,
    keep: Duration,
    upto: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(AssertSqlSafe(format!(
        "with old as materialized (
             select seq, created_at from {table}
             where seq <= $1 and created_at < clock_timestamp() - make_interval(secs => $2)
               and xid < coalesce((select pg_snapshot_xmin(cursor) from dionysus.lanes
                                   order by pg_snapshot_xmin(cursor) limit 1), '9223372036854775807'::xid8)
             order by seq limit $3)
         delete from {table} o using old where o.seq = old.seq and o.created_at = old.created_at"
    )))
    .bind(upto)
    .bind(keep.as_secs_f64())
    .bind(BATCH)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

async fn look(conn: &mut PgConnection, table: &str, keep: Duration) -> Result<Front, Error> {
    sqlx::query_as(AssertSqlSafe(format!(
        "with front as materialized (
             select seq, xid, created_at from {table} order by seq limit $2),
         old as materialized (
             select seq, xid from front where created_at < clock_timestamp() - make_interval(secs => $1)),
         top as materialized (select max(seq) as seq from old)
         select top.seq as top_seq,
                (select max(seq) from dionysus.floors where xid < pg_snapshot_xmin(pg_current_snapshot())) as settled,
                exists (select from dionysus.floors f where f.seq >= top.seq) as is_floored,
                (select l.topic from dionysus.lanes l
                 where pg_snapshot_xmin(l.cursor) <= (select xid from old order by seq limit 1)
                 order by pg_snapshot_xmin(l.cursor), l.topic limit 1) as held_by
         from top"
    )))
    .bind(keep.as_secs_f64())
    .bind(FRONT)
    .fetch_one(conn)
    .await
    .map_err(Error::at("looking for rows to delete"))
}
