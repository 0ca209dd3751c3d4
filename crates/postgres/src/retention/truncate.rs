//! Truncating a leaf that every lane has passed.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

use super::leaf::{self, Leaf};
use super::{ADVISORY, Hold, How, LOCK_TIMEOUT_MS, Retired, floors, is_gone, is_in_the_way};
use crate::Error;

/// How long the work under the lock may take: a truncation is a matter of milliseconds.
const UNDER_LOCK_MS: u32 = 2_000;

/// Below that, an empty DEFAULT partition is not worth its lock.
const WORTH_FREEING_BYTES: i64 = 1 << 20;

/// Up to this size rows are counted; above it Postgres's estimate has to do.
const COUNTED_BYTES: i64 = 32 << 20;

/// What became of a leaf.
#[derive(Debug)]
pub(super) enum Outcome {
    Truncated(Retired),
    /// There is nothing in it.
    Empty,
    /// Somebody else has dropped or detached it.
    Gone,
    /// It has to wait.
    Held(Hold),
}

/// Takes a leaf as far as it can go now.
pub(super) async fn retire(conn: &mut PgConnection, leaf: &Leaf) -> Result<Outcome, Error> {
    let at = || Error::at("looking at a leaf");
    let mut look = match leaf::look(conn, leaf).await {
        Ok(look) => look,
        Err(error) if is_gone(&error) => return Ok(Outcome::Gone),
        Err(error) => return Err(at()(error)),
    };
    if let (Some(seq), None, false) = (look.top_seq, &look.held_by, look.is_floored) {
        floors::write(conn, seq, &leaf.name).await?;
        look = leaf::look(conn, leaf).await.map_err(at())?;
    }
    if let Some(early) = judge(&look) {
        return Ok(early);
    }
    let rows = rows(conn, leaf).await.map_err(at())?;
    match under_lock(conn, leaf, rows).await {
        Err(error) if is_in_the_way(&error) => {
            Ok(Outcome::Held(Hold::Lock { leaf: leaf.name.clone() }))
        }
        Err(error) if is_gone(&error) => Ok(Outcome::Gone),
        done => done.map_err(Error::at("truncating a leaf")),
    }
}

/// What a look says against truncating; `None`: nothing.
fn judge(look: &leaf::Look) -> Option<Outcome> {
    if !look.is_attached {
        return Some(Outcome::Gone);
    }
    if look.top_seq.is_none() {
        return Some(Outcome::Empty);
    }
    if let Some(topic) = &look.held_by {
        return Some(Outcome::Held(Hold::Lane { topic: topic.clone() }));
    }
    (!look.is_settled).then_some(Outcome::Held(Hold::OpenTransaction))
}

/// Before the lock: only for people to read.
async fn rows(conn: &mut PgConnection, leaf: &Leaf) -> Result<i64, sqlx::Error> {
    if leaf.bytes > COUNTED_BYTES {
        return Ok(leaf.rows);
    }
    let sql = format!("select count(*) from {}", leaf.name);
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(conn).await
}

async fn under_lock(
    conn: &mut PgConnection,
    leaf: &Leaf,
    rows: i64,
) -> Result<Outcome, sqlx::Error> {
    let mut tx = conn.begin().await?;
    if !lock(&mut tx, &leaf.name).await? {
        tx.rollback().await?;
        return Ok(Outcome::Held(Hold::Lock { leaf: leaf.name.clone() }));
    }
    // A statement of its own, and so a snapshot from after the lock: it sees what the writers we waited for have left.
    if let Some(early) = judge(&leaf::look(&mut tx, leaf).await?) {
        tx.rollback().await?;
        return Ok(early);
    }
    truncate(&mut tx, &leaf.name).await?;
    tx.commit().await?;
    Ok(Outcome::Truncated(retired(leaf, rows)))
}

/// Gives back the disk space of a DEFAULT partition that holds nothing but dead rows.
pub(super) async fn free_space(
    conn: &mut PgConnection,
    default: &Leaf,
) -> Result<Option<Retired>, Error> {
    if default.bytes < WORTH_FREEING_BYTES {
        return Ok(None);
    }
    match freed(conn, default).await {
        Err(error) if is_in_the_way(&error) || is_gone(&error) => Ok(None),
        done => done.map_err(Error::at("truncating the default partition")),
    }
}

async fn freed(conn: &mut PgConnection, default: &Leaf) -> Result<Option<Retired>, sqlx::Error> {
    if !is_empty(conn, default).await? {
        return Ok(None);
    }
    let mut tx = conn.begin().await?;
    if !lock(&mut tx, &default.name).await? || !is_empty(&mut tx, default).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    truncate(&mut tx, &default.name).await?;
    tx.commit().await?;
    Ok(Some(retired(default, 0)))
}

pub(super) async fn is_empty(conn: &mut PgConnection, leaf: &Leaf) -> Result<bool, sqlx::Error> {
    // By an index: a heap of dead rows would be read whole.
    let sql = format!("select not exists (select from {} order by seq limit 1)", leaf.name);
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(conn).await
}

/// Locks a leaf against everybody; false if another relay is at it. READ COMMITTED whatever the role's default, or there would be no second look.
async fn lock(tx: &mut Transaction<'_, Postgres>, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set transaction isolation level read committed;
         set local lock_timeout = {LOCK_TIMEOUT_MS};
         set local statement_timeout = {UNDER_LOCK_MS}"
    )))
    .execute(&mut **tx)
    .await?;
    let ours: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock($1)")
        .bind(ADVISORY)
        .fetch_one(&mut **tx)
        .await?;
    if ours {
        let sql = format!("lock table {name} in access exclusive mode");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await?;
    }
    Ok(ours)
}

async fn truncate(tx: &mut Transaction<'_, Postgres>, name: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(format!("truncate {name}"))).execute(&mut **tx).await?;
    Ok(())
}

fn retired(leaf: &Leaf, rows: i64) -> Retired {
    Retired {
        leaf: leaf.name.clone(),
        how: How::Truncated,
        rows: u64::try_from(rows).unwrap_or(0),
        bytes: u64::try_from(leaf.bytes).unwrap_or(0),
    }
}
