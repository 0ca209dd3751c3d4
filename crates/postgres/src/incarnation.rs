//! The token that crash recovery takes away.
//!
//! After a crash Postgres uses transaction ids and numbers again whose write-ahead log was not flushed. A relay that kept its
//! snapshots over the crash would skip rows. It notices by the lost connection; a pooler may reconnect behind its back, so
//! every read also returns the token of an unlogged table, which recovery empties (design §4; Postgres manual, "UNLOGGED").

use sqlx::PgPool;
use uuid::Uuid;

use crate::Error;

/// The token of this run of the server, made by whoever asks first.
///
/// # Errors
/// [`Error::Statement`].
pub async fn token(pool: &PgPool) -> Result<Uuid, Error> {
    // Two statements: a row that somebody else inserts meanwhile is not in the snapshot of the insert.
    sqlx::query("insert into dionysus.incarnation (token) values (gen_random_uuid()) on conflict do nothing")
        .execute(pool)
        .await
        .map_err(Error::at("making the incarnation's token"))?;
    sqlx::query_scalar("select token from dionysus.incarnation")
        .fetch_one(pool)
        .await
        .map_err(Error::at("reading the incarnation's token"))
}
