//! What people see and ask for. Requests are written down; the lane's owner executes them, so they are safe while it runs.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::Error;
use crate::lanes::LANES_CHANNEL;

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
    /// What somebody has asked for and the owner has not done yet: `retry`, `skip` or `drop`.
    pub request: Option<String>,
    /// When it was appended to the outbox.
    pub created_at: DateTime<Utc>,
    /// When it was set aside.
    pub quarantined_at: DateTime<Utc>,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// Try it now; the rows behind it follow if it is taken.
    Retry,
    /// Never publish this row; the rows behind it go on.
    Skip,
    /// Never publish this row and those of its key that wait behind it.
    Drop,
}

impl Request {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Drop => "drop",
        }
    }
}

/// Which rows: a single one, those of a key, or all that were refused in a lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target<'a> {
    /// The row of this number.
    Row(i64),
    /// The first row of this key.
    Key(&'a str),
    /// Every refused row.
    All,
}

const ENTRY: &str = "select topic, seq, key, event, model, event_id,
        coalesce(octet_length(payload), octet_length(capture::text), 0)::bigint as bytes,
        cause, attempts, retry_at, request, created_at, quarantined_at
    from dionysus.quarantine";

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
        "{ENTRY} where ($1::text is null or topic = $1) and ($2 or cause is not null) order by topic, seq limit $3"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(topic)
        .bind(behind)
        .bind(limit)
        .fetch_all(pool)
        .await
        .map_err(Error::at("reading the quarantine"))
}

/// One row with its payload, or what a trigger captured.
///
/// # Errors
/// [`Error::Statement`].
pub async fn show(
    pool: &PgPool,
    topic: &str,
    seq: i64,
) -> Result<Option<(Entry, Option<Vec<u8>>, Option<serde_json::Value>)>, Error> {
    let at = || Error::at("reading a row in quarantine");
    let sql = format!("{ENTRY} where topic = $1 and seq = $2");
    let entry: Option<Entry> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(topic)
        .bind(seq)
        .fetch_optional(pool)
        .await
        .map_err(at())?;
    let Some(entry) = entry else { return Ok(None) };
    let contents: Option<(Option<Vec<u8>>, Option<serde_json::Value>)> = sqlx::query_as(
        "select payload, capture from dionysus.quarantine where topic = $1 and seq = $2",
    )
    .bind(topic)
    .bind(seq)
    .fetch_optional(pool)
    .await
    .map_err(at())?;
    Ok(contents.map(|(payload, capture)| (entry, payload, capture)))
}

/// Writes a request down and tells the relays. Returns the rows that it is about.
///
/// # Errors
/// [`Error::Statement`].
pub async fn request(
    pool: &PgPool,
    topic: &str,
    target: Target<'_>,
    request: Request,
) -> Result<Vec<i64>, Error> {
    let (seq, key) = match target {
        Target::Row(seq) => (Some(seq), None),
        Target::Key(key) => (None, Some(key)),
        Target::All => (None, None),
    };
    let seqs: Vec<i64> = sqlx::query_scalar(
        "update dionysus.quarantine q set request = $4
         where q.topic = $1
           and case when $2::bigint is not null then q.seq = $2
                    when $3::text is not null then q.seq = (
                        select min(f.seq) from dionysus.quarantine f where f.topic = $1 and f.key = $3)
                    else q.cause is not null end
         returning q.seq",
    )
    .bind(topic)
    .bind(seq)
    .bind(key)
    .bind(request.as_str())
    .fetch_all(pool)
    .await
    .map_err(Error::at("writing a request down"))?;
    if !seqs.is_empty() {
        sqlx::query("select pg_notify($1, '')")
            .bind(LANES_CHANNEL)
            .execute(pool)
            .await
            .map_err(Error::at("telling the relays of a request"))?;
    }
    Ok(seqs)
}
