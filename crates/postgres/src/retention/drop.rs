//! Dropping an empty leaf when no writer is in the way.
//!
//! `DROP TABLE` of a partition takes the parent's lock: beside an open writer it would queue, and every insert behind it. So all locks that it
//! needs are taken first, each without waiting.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::leaf::Leaf;
use super::{How, Retired, is_gone, is_in_the_way, truncate};
use crate::Error;

/// How often a lock is asked for in a round, between other people's statements.
const TRIES: u32 = 5;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// What inserts may be kept waiting for a leaf that could not be dropped for a day.
const PATIENCE_MS: u32 = 50;

/// Drops the leaf; `None` if somebody is in the way.
pub(super) async fn empty(conn: &mut PgConnection, leaf: &Leaf) -> Result<Option<Retired>, Error> {
    for attempt in 1..=TRIES {
        let waits = attempt == TRIES && leaf.is_old_for_long();
        match dropped(conn, leaf, waits).await {
            Ok(true) => {
                return Ok(Some(Retired {
                    leaf: leaf.name.clone(),
                    how: How::Dropped,
                    rows: 0,
                    bytes: 0,
                }));
            }
            Err(error) if is_in_the_way(&error) => tokio::time::sleep(PAUSE).await,
            Ok(false) => return Ok(None),
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(Error::at("dropping an empty leaf")(error)),
        }
    }
    Ok(None)
}

async fn dropped(conn: &mut PgConnection, leaf: &Leaf, waits: bool) -> Result<bool, sqlx::Error> {
    let name = &leaf.name;
    let nowait = if waits { "" } else { "nowait" };
    let mut tx = conn.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set transaction isolation level read committed;
         set local lock_timeout = {PATIENCE_MS};
         lock table only dionysus.outbox in access exclusive mode {nowait};
         lock table {name} in access exclusive mode {nowait}"
    )))
    .execute(&mut *tx)
    .await?;
    let default: Option<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname)
         from pg_partitioned_table p join pg_class c on c.oid = p.partdefid join pg_namespace n on n.oid = c.relnamespace
         where p.partrelid = 'dionysus.outbox'::regclass
           and exists (select from pg_inherits where inhrelid = $1::regclass and inhparent = p.partrelid)",
    )
    .bind(name)
    .fetch_optional(&mut *tx)
    .await?;
    // Without DEFAULT partition it is no table of ours, or the leaf was detached: left alone.
    let Some(default) = default else {
        tx.rollback().await?;
        return Ok(false);
    };
    let sql = format!("lock table {default} in access exclusive mode {nowait}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    if !truncate::is_empty(&mut tx, leaf).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    sqlx::raw_sql(AssertSqlSafe(format!("drop table {name}"))).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(true)
}
