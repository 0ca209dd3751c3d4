//! Floors: the numbers below which rows may be gone.

use sqlx::PgConnection;

use crate::Error;

/// The highest floor that is older than the caller's snapshot: a number that lies at or above every row that is gone for it, and below every number
/// that an open transaction may still bring. `None` if no row has ever gone.
///
/// In a REPEATABLE READ transaction that holds `ACCESS SHARE` on the outbox this is the version of an instance without rows; where a key has
/// rows left, the higher of the two.
///
/// # Errors
/// [`Error::Statement`].
pub async fn floor(conn: &mut PgConnection) -> Result<Option<i64>, Error> {
    sqlx::query_scalar(
        "select max(seq) from dionysus.floors where xid < pg_snapshot_xmin(pg_current_snapshot())",
    )
    .fetch_one(conn)
    .await
    .map_err(Error::at("reading the floor"))
}

/// Commits a floor. `seq` was read by an earlier statement, and this transaction has no id before this one: that is what makes it a floor.
pub(super) async fn write(conn: &mut PgConnection, seq: i64, leaf: &str) -> Result<(), Error> {
    // An older floor of the same number serves as well, and sooner.
    sqlx::query(
        "insert into dionysus.floors (seq, xid, leaf) values ($1, pg_current_xact_id(), $2) on conflict (seq) do nothing",
    )
    .bind(seq)
    .bind(leaf)
    .execute(conn)
    .await
    .map_err(Error::at("writing a floor"))?;
    Ok(())
}

/// Removes floors that no later snapshot can choose. Earlier snapshots still see them.
pub(super) async fn prune(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::query(
        "delete from dionysus.floors
         where seq < (select max(seq) from dionysus.floors where xid < pg_snapshot_xmin(pg_current_snapshot()))",
    )
    .execute(conn)
    .await
    .map_err(Error::at("pruning floors"))?;
    Ok(())
}
