//! What people see of the quarantine. Payloads may hold personal data: they are read when somebody asks for them, and not before.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::Error;

/// A row in quarantine, without its contents.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub struct Entry {
    /// Its lane.
    pub topic: String,
    /// Its number.
    pub seq: i64,
    /// Its Kafka key.
    pub key: String,
    /// The event's name.
    pub event: String,
    /// The model's name.
    pub model: String,
    /// Its id.
    pub event_id: Uuid,
    /// Bytes of its payload, or of what a trigger captured; 0 for a tombstone.
    pub bytes: i64,
    /// What refused it; `None` for a row that waits behind one.
    pub cause: Option<String>,
    /// How often it was tried again.
    pub attempts: i32,
    /// When it is tried next.
    pub retry_at: Option<DateTime<Utc>>,
    /// Rows of its key that wait behind it.
    pub behind: i64,
    /// What somebody has asked for and the owner has not done yet: `retry`, `skip` or `drop`.
    pub request: Option<String>,
    /// When it was appended to the outbox.
    pub created_at: DateTime<Utc>,
    /// When it was set aside.
    pub quarantined_at: DateTime<Utc>,
}

const ENTRY: &str = "select q.topic, q.seq, q.key, q.event, q.model, q.event_id,
        coalesce(octet_length(q.payload), octet_length(q.capture::text), 0)::bigint as bytes,
        q.cause, q.attempts, q.retry_at,
        (select count(*) from dionysus.quarantine b where b.topic = q.topic and b.key = q.key and b.seq > q.seq) as behind,
        q.request, q.created_at, q.quarantined_at
    from dionysus.quarantine q";

/// Rows in quarantine, by lane and number, refused ones only unless `behind`; at most `limit`.
///
/// # Errors
/// [`Error::Statement`].
pub async fn list(
    pool: &PgPool,
    topic: Option<&str>,
    behind: bool,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let sql = format!(
        "{ENTRY} where ($1::text is null or q.topic = $1) and ($2 or q.cause is not null) order by q.topic, q.seq limit $3"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(topic)
        .bind(behind)
        .bind(limit)
        .fetch_all(pool)
        .await
        .map_err(Error::at("reading the quarantine"))
}

/// One row.
///
/// # Errors
/// [`Error::Statement`].
pub async fn show(pool: &PgPool, topic: &str, seq: i64) -> Result<Option<Entry>, Error> {
    let sql = format!("{ENTRY} where q.topic = $1 and q.seq = $2");
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(topic)
        .bind(seq)
        .fetch_optional(pool)
        .await
        .map_err(Error::at("reading a row in quarantine"))
}

/// What a row holds: a payload, or what a trigger captured; neither for a tombstone.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub struct Contents {
    /// The bytes to publish.
    pub payload: Option<Vec<u8>>,
    /// Headers of its own.
    pub headers: Option<serde_json::Value>,
    /// The columns' text.
    pub capture: Option<serde_json::Value>,
}

/// What one row holds. It may be personal data.
///
/// # Errors
/// [`Error::Statement`].
pub async fn contents(pool: &PgPool, topic: &str, seq: i64) -> Result<Option<Contents>, Error> {
    sqlx::query_as(
        "select payload, headers, capture from dionysus.quarantine where topic = $1 and seq = $2",
    )
    .bind(topic)
    .bind(seq)
    .fetch_optional(pool)
    .await
    .map_err(Error::at("reading the contents of a row in quarantine"))
}
