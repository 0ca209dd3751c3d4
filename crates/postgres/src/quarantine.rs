//! Rows that could not be published, and the later rows of their keys. The protocol is told in the relay's `quarantine.rs`; here are its statements.
//!
//! Rows come in with the very statement that stores the cursor that passes them ([`crate::lanes::checkpoint`]), and are copied there from the outbox:
//! until that commits, the lane's cursor keeps retention away from them.

mod people;
mod requests;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

pub use people::{Contents, Entry, contents, list, show};
pub use requests::{Left, Outlook, Request, Target, left, outlook, request};

use crate::Error;

/// A row to set aside.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its lane.
    pub topic: &'a str,
    /// Its number.
    pub seq: i64,
    /// When it was appended, as stored: finds its partition.
    pub created_at: DateTime<Utc>,
    /// What refused it; `None` for a row that waits behind one.
    pub cause: Option<&'a str>,
    /// When it is tried again, from now.
    pub retry_in: Option<Duration>,
}

/// A row that may be tried, or follows one that may.
#[derive(Clone, Debug, FromRow)]
pub struct Due {
    /// Its lane.
    pub topic: String,
    /// Its number.
    pub seq: i64,
    /// Its Kafka key.
    pub key: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was appended.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub event_id: Uuid,
    /// What its partition is chosen by.
    pub partition_key: Option<String>,
    /// The event's name.
    pub event: String,
    /// The model's name.
    pub model: String,
    /// The bytes to publish; `None` for a tombstone, or if `capture` holds them.
    pub payload: Option<Vec<u8>>,
    /// Headers of its own.
    pub headers: Option<serde_json::Value>,
    /// The columns' text, for a row that a trigger wrote.
    pub capture: Option<String>,
}

/// The keys of each lane that has rows in quarantine, with how many.
///
/// # Errors
/// [`Error::Statement`].
pub async fn keys(
    pool: &PgPool,
    topics: &[String],
) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Error> {
    let found: Vec<(String, String, i64)> = sqlx::query_as(
        "select topic, key, count(*) from dionysus.quarantine where topic = any($1) group by topic, key",
    )
    .bind(topics)
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading the keys in quarantine"))?;
    let mut keys: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for (topic, key, rows) in found {
        keys.entry(topic).or_default().insert(key, u64::try_from(rows).unwrap_or(0));
    }
    Ok(keys)
}

/// Removes what people gave up: a skipped row, and from a dropped one on all rows of its key. Only of lanes that `relay` owns.
/// Returns how many.
///
/// # Errors
/// [`Error::Statement`].
pub async fn give_up(pool: &PgPool, relay: Uuid) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from dionysus.quarantine q using dionysus.lanes l
         where l.topic = q.topic and l.owner = $1
           and (q.request = 'skip' or exists (
               select from dionysus.quarantine d
               where d.topic = q.topic and d.key = q.key and d.request = 'drop' and d.seq <= q.seq))",
    )
    .bind(relay)
    .execute(pool)
    .await
    .map_err(Error::at("removing rows from quarantine"))?;
    Ok(done.rows_affected())
}

/// Rows of keys whose first row may be tried: it waits behind none, somebody asks for it, or its time has come. At most `limit`, by lane and
/// number: so that of each key the first rows come, without a gap.
///
/// # Errors
/// [`Error::Statement`].
pub async fn due(pool: &PgPool, relay: Uuid, limit: i64) -> Result<Vec<Due>, Error> {
    sqlx::query_as(
        "with first as (
             select distinct on (q.topic, q.key) q.topic, q.key, q.seq, q.cause, q.request, q.retry_at
             from dionysus.quarantine q join dionysus.lanes l on l.topic = q.topic and l.owner = $1
             order by q.topic, q.key, q.seq),
         due as (
             select topic, key from first
             where cause is null or request = 'retry' or retry_at <= clock_timestamp()
             order by seq limit $2)
         select q.topic, q.seq, q.key, q.attempts, q.created_at, q.event_id, q.partition_key, q.event, q.model,
                q.payload, q.headers, q.capture::text as capture
         from due join dionysus.quarantine q using (topic, key)
         order by q.topic, q.seq limit $2",
    )
    .bind(relay)
    .bind(limit)
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading rows from quarantine"))
}

/// Removes rows that were acknowledged, of a lane that `relay` owns in this epoch. Returns how many: none if it does not any more.
///
/// # Errors
/// [`Error::Statement`].
pub async fn released(
    pool: &PgPool,
    relay: Uuid,
    epoch: i64,
    topic: &str,
    seqs: &[i64],
) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from dionysus.quarantine q using dionysus.lanes l
         where l.topic = q.topic and l.owner = $1 and l.epoch = $2 and q.topic = $3 and q.seq = any($4)",
    )
    .bind(relay)
    .bind(epoch)
    .bind(topic)
    .bind(seqs)
    .execute(pool)
    .await
    .map_err(Error::at("removing released rows from quarantine"))?;
    Ok(done.rows_affected())
}

/// Notes that a row was refused again, and when it is tried next.
///
/// # Errors
/// [`Error::Statement`].
pub async fn refused_again(
    pool: &PgPool,
    relay: Uuid,
    topic: &str,
    seq: i64,
    cause: &str,
    retry_in: Duration,
) -> Result<(), Error> {
    sqlx::query(
        "update dionysus.quarantine q
         set cause = $4, attempts = q.attempts + 1, request = nullif(q.request, 'retry'),
             retry_at = clock_timestamp() + make_interval(secs => $5)
         from dionysus.lanes l
         where l.topic = q.topic and l.owner = $1 and q.topic = $2 and q.seq = $3",
    )
    .bind(relay)
    .bind(topic)
    .bind(seq)
    .bind(cause)
    .bind(retry_in.as_secs_f64())
    .execute(pool)
    .await
    .map_err(Error::at("noting a refusal in quarantine"))?;
    Ok(())
}
