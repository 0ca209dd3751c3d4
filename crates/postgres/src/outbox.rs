//! Writing to the outbox, and saying so.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::Error;

/// The channel on which producers say that rows were committed. The payload is empty: a relay reads all its lanes at once.
pub const WAKE_UP_CHANNEL: &str = "dionysus_outbox";

/// A row to append. `xid`, `seq` and `created_at` are the database's to give.
#[derive(Clone, Copy, Debug)]
pub struct NewRow<'a> {
    /// Unique per event; v7, so that they sort by time.
    pub event_id: Uuid,
    /// The primary topic.
    pub topic: &'a str,
    /// The Kafka key, `Model:id`.
    pub key: &'a str,
    /// What the partition is chosen by; without it, the key.
    pub partition_key: Option<&'a str>,
    /// The event's name, `rental_updated`.
    pub event: &'a str,
    /// The model's name.
    pub model: &'a str,
    /// The instance's id, as text.
    pub model_id: &'a str,
    /// The exact bytes to publish; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers to publish beside ours: an object of texts.
    pub headers: Option<&'a serde_json::Value>,
}

/// Appends rows inside the caller's transaction, in one statement; `seq` ascends in the order of the slice.
///
/// Turns `synchronous_commit` on for the transaction where it is off: a crash could otherwise take back rows that a
/// relay has published already (see [`dionysus_core::Cursor`]).
///
/// # Errors
/// [`Error::Statement`]; the transaction is then aborted, as after any failed statement.
///
/// # Cancel safety
/// Dropping the future leaves the connection in an unknown state; sqlx closes it.
pub async fn append(conn: &mut PgConnection, rows: &[NewRow<'_>]) -> Result<u64, Error> {
    if rows.is_empty() {
        return Ok(0);
    }
    // The order by stands below the defaults, so numbers are drawn in that order.
    let done = sqlx::query(
        "insert into dionysus.outbox (event_id, topic, key, partition_key, event, model, model_id, payload, headers)
         select event_id, topic, key, partition_key, event, model, model_id, payload, headers
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::jsonb[])
              with ordinality as r (event_id, topic, key, partition_key, event, model, model_id, payload, headers, ord)
         where (select case when current_setting('synchronous_commit') = 'off'
                            then set_config('synchronous_commit', 'on', true) else 'on' end) is not null
         order by ord",
    )
    .bind(rows.iter().map(|row| row.event_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.topic).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.key).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.partition_key).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.event).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.model).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.model_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.payload).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.headers).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(Error::at("appending to the outbox"))?;
    Ok(done.rows_affected())
}

/// Tells listening relays that rows were committed. For use after the commit, outside the transaction: a notification inside it
/// would make all commits of the cluster queue behind one lock.
///
/// # Errors
/// [`Error::Statement`]; a lost wake-up costs a relay at most one poll interval.
pub async fn wake_up(pool: &PgPool) -> Result<(), Error> {
    sqlx::query("select pg_notify('dionysus_outbox', '')")
        .execute(pool)
        .await
        .map_err(Error::at("waking the relays"))?;
    Ok(())
}
