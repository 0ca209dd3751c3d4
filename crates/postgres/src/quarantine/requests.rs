//! What people ask for. Requests are written down; the lane's owner executes them, so they are safe while it runs.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

use crate::Error;
use crate::lanes::LANES_CHANNEL;

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

impl<'a> Target<'a> {
    /// `$2` and `$3` of `named!`.
    fn bounds(self) -> (Option<i64>, Option<&'a str>) {
        match self {
            Self::Row(seq) => (Some(seq), None),
            Self::Key(key) => (None, Some(key)),
            Self::All => (None, None),
        }
    }
}

/// Whether row `q` is one of those that a target names.
macro_rules! named {
    () => {
        "q.topic = $1
           and case when $2::bigint is not null then q.seq = $2
                    when $3::text is not null then q.seq = (
                        select min(f.seq) from dionysus.quarantine f where f.topic = $1 and f.key = $3)
                    else q.cause is not null end"
    };
}

/// What a request would be about, by what is in quarantine now.
#[derive(Clone, Debug, Default, Eq, FromRow, PartialEq)]
pub struct Outlook {
    /// Rows that it names.
    pub rows: i64,
    /// Rows of the same keys that it does not name and that wait behind those.
    pub behind: i64,
    /// How many of the named rows wait themselves behind rows of their keys that it does not name.
    pub held_up: i64,
    /// The name of the relay that would execute it, if one owns the lane.
    pub owner: Option<String>,
}

/// What a request would be about; changes nothing.
///
/// # Errors
/// [`Error::TopicNotRegistered`] for a topic without a lane, [`Error::Statement`].
pub async fn outlook(pool: &PgPool, topic: &str, target: Target<'_>) -> Result<Outlook, Error> {
    let (seq, key) = target.bounds();
    let found: Option<Outlook> = sqlx::query_as(concat!(
        "with asked as materialized (
             select q.key, q.seq from dionysus.quarantine q where ",
        named!(),
        "), first as (
             select key, min(seq) as seq from asked group by key),
         other as materialized (
             select q.key, q.seq, f.seq as first from first f join dionysus.quarantine q on q.topic = $1 and q.key = f.key
             where not exists (select from asked a where a.seq = q.seq))
         select (select count(*) from asked) as rows,
                (select count(*) from other where seq > first) as behind,
                (select count(*) from asked a
                 join (select key, min(seq) as seq from other group by key) as o on o.key = a.key and o.seq < a.seq) as held_up,
                r.name as owner
         from dionysus.lanes l left join dionysus.relays r on r.id = l.owner and r.expires_at > clock_timestamp()
         where l.topic = $1"
    ))
    .bind(topic)
    .bind(seq)
    .bind(key)
    .fetch_optional(pool)
    .await
    .map_err(Error::at("looking what a request is about"))?;
    found.ok_or_else(|| Error::TopicNotRegistered { topic: topic.to_owned() })
}

/// Writes a request down, in place of an earlier one that was not executed yet, and tells the relays. Returns the rows that it is about.
///
/// # Errors
/// [`Error::Statement`].
pub async fn request(
    pool: &PgPool,
    topic: &str,
    target: Target<'_>,
    request: Request,
) -> Result<Vec<i64>, Error> {
    let (seq, key) = target.bounds();
    let seqs: Vec<i64> = sqlx::query_scalar(concat!(
        "update dionysus.quarantine q set request = $4 where ",
        named!(),
        " returning q.seq"
    ))
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

/// A row that somebody has asked about and that is still there.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct Left {
    /// Its number.
    pub seq: i64,
    /// What is asked for; `None` once a retry was refused.
    pub request: Option<String>,
    /// What refused it last; `None` for a row that only waits behind one.
    pub cause: Option<String>,
    /// How often it was tried again.
    pub attempts: i32,
    /// When it is tried next.
    pub retry_at: Option<DateTime<Utc>>,
    /// An earlier row of its key that was refused and that nobody asks about: until that one goes, a retry of this one waits.
    pub behind: Option<i64>,
}

/// Which of these rows are still there. Those that are gone were published or given up.
///
/// # Errors
/// [`Error::Statement`].
pub async fn left(pool: &PgPool, topic: &str, seqs: &[i64]) -> Result<Vec<Left>, Error> {
    sqlx::query_as(
        "select q.seq, q.request, q.cause, q.attempts, q.retry_at,
                (select min(f.seq) from dionysus.quarantine f
                 where f.topic = q.topic and f.key = q.key and f.seq < q.seq and f.cause is not null and f.request is null) as behind
         from dionysus.quarantine q where q.topic = $1 and q.seq = any($2) order by q.seq",
    )
    .bind(topic)
    .bind(seqs)
    .fetch_all(pool)
    .await
    .map_err(Error::at("looking what became of a request"))
}
