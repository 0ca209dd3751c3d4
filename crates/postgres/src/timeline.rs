//! Which history of the server our numbers belong to.
//!
//! Cursors, numbers and epochs mean something within one history of one cluster. A restored backup, a promoted standby or a snapshot of a disk
//! begins another one at an earlier point: numbers that Kafka has seen are given a second time, to other rows, and replicas refuse
//! those as old. Nobody would notice. So a relay looks, and refuses to go on in silence.
//!
//! # The signs
//! | what happened | seen by |
//! | --- | --- |
//! | dump restored elsewhere, `pg_upgrade` | another system identifier, or another database |
//! | standby promoted, recovery to a point in time | another timeline of the server (of the WAL file being written, which changes at once; the control file's only with the next checkpoint) |
//! | an older copy started in its place, under a running relay | what the relay remembers to have stored durably is not there: [`Memory`] |
//! | the same, before the relay was started | Kafka knows numbers that this database has not given: [`compare`] |
//! | any, where a lane was far ahead | a stored cursor that lies ahead of the server |
//!
//! A crash is none of them: what was durable is there again, and what was not is forgotten with the connection (see [`crate::incarnation`]).
//!
//! # Going on
//! [`begin`] starts a timeline of ours in one transaction, after a person (or a setting) has said so. Everything that is given from then on lies above
//! everything that the lost future can have given.

mod begin;
mod sign;
mod statements;

use sqlx::{FromRow, PgPool};

use crate::Error;

pub use begin::{Begun, begin};
pub use sign::Sign;
use statements::{CHECK, CHECK_BLIND, LOOK, LOOK_BLIND};

/// Bits of a number below the timeline.
pub const SEQ_BITS: u32 = 48;

/// Bits of an epoch below the timeline.
pub const EPOCH_BITS: u32 = 16;

/// What a process remembers of its last look. Keep it for as long as the process lives.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    last: Option<Mark>,
    /// The role may not ask for the system identifier.
    is_blind: bool,
}

/// What was durable at a look.
#[derive(Clone, Copy, Debug)]
struct Mark {
    timeline: i64,
    looks: i64,
    xid: i64,
    seq: i64,
}

/// The stored history beside the server's own.
#[derive(Debug, FromRow)]
struct Histories {
    timeline: i64,
    looks: i64,
    stored_identifier: Option<i64>,
    stored_timeline: Option<i32>,
    stored_database: Option<i64>,
    found_identifier: Option<i64>,
    found_timeline: i32,
    found_database: i64,
    ahead: Option<String>,
    seq: i64,
    /// Our own; 0 where nothing was written.
    xid: i64,
}

/// Looks whether this is still the history that our numbers belong to, leaves a durable mark, and remembers it. The first look ever stores
/// what it sees. One statement, one row written.
///
/// # Errors
/// [`Error::Restored`] with the sign; [`Error::InRecovery`]; [`Error::Statement`].
///
/// # Cancel safety
/// Safe: what was not remembered is not compared.
pub async fn look(pool: &PgPool, memory: &mut Memory) -> Result<(), Error> {
    let histories = loop {
        let sql = if memory.is_blind { LOOK_BLIND } else { LOOK };
        match sqlx::query_as::<_, Histories>(sql).fetch_one(pool).await {
            Ok(histories) => break histories,
            Err(error) if is_refused(&error) && !memory.is_blind => memory.is_blind = true,
            Err(error) => return Err(explained(pool, error).await),
        }
    };
    judge(&histories)?;
    let now = Mark {
        timeline: histories.timeline,
        looks: histories.looks,
        xid: histories.xid,
        seq: histories.seq,
    };
    if memory.last.is_some_and(|last| went_back(last, now)) {
        return Err(restored(&histories, Sign::WentBack));
    }
    memory.last = Some(now);
    Ok(())
}

/// As [`look`], without a mark: changes nothing. Returns the number of our timeline.
///
/// # Errors
/// As [`look`].
///
/// # Cancel safety
/// Safe.
pub async fn check(pool: &PgPool) -> Result<i64, Error> {
    let found = match sqlx::query_as::<_, Histories>(CHECK).fetch_one(pool).await {
        Err(error) if is_refused(&error) => sqlx::query_as(CHECK_BLIND).fetch_one(pool).await,
        found => found,
    };
    match found {
        Ok(histories) => judge(&histories).map(|()| histories.timeline),
        Err(error) => Err(explained(pool, error).await),
    }
}

/// Compares the highest version that each topic holds with the last number that was given. Read the topics first.
///
/// # Errors
/// [`Error::Restored`], [`Error::Statement`].
///
/// # Cancel safety
/// Safe.
pub async fn compare(pool: &PgPool, versions: &[(String, i64)]) -> Result<(), Error> {
    let (timeline, seq): (i64, i64) = sqlx::query_as(
        "select s.timeline, q.last_value from dionysus.system s, dionysus.outbox_seq q",
    )
    .fetch_one(pool)
    .await
    .map_err(Error::at("reading the last number"))?;
    match versions.iter().max_by_key(|(_, version)| *version) {
        Some((topic, version)) if *version > seq => Err(Error::Restored {
            timeline,
            sign: Sign::BehindTopic { topic: topic.clone(), version: *version, seq },
        }),
        _ => Ok(()),
    }
}

/// The first timeline that lies above a version.
pub const fn above(version: i64) -> i64 {
    (version >> SEQ_BITS) + 1
}

fn judge(histories: &Histories) -> Result<(), Error> {
    let Histories { stored_identifier, stored_timeline, stored_database, found_identifier, .. } =
        *histories;
    let (timeline, database) = (histories.found_timeline, histories.found_database);
    let sign = match (stored_identifier, found_identifier) {
        (Some(stored), Some(found)) if stored != found => Sign::Cluster { stored, found },
        _ => match (stored_timeline, stored_database, &histories.ahead) {
            (Some(stored), ..) if stored != timeline => {
                Sign::ServerTimeline { stored, found: timeline }
            }
            (_, Some(stored), _) if stored != database => {
                Sign::Database { stored, found: database }
            }
            (.., Some(topic)) => Sign::CursorAhead { topic: topic.clone() },
            _ => return Ok(()),
        },
    };
    Err(restored(histories, sign))
}

fn restored(histories: &Histories, sign: Sign) -> Error {
    Error::Restored { timeline: histories.timeline, sign }
}

/// A timeline that was begun since makes our memory void.
fn went_back(last: Mark, now: Mark) -> bool {
    match now.timeline.cmp(&last.timeline) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => {
            now.looks <= last.looks || now.xid <= last.xid || now.seq < last.seq
        }
        std::cmp::Ordering::Greater => false,
    }
}

/// 42501: the role may not call the function.
fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "42501")
}

/// A standby refuses in several ways.
async fn explained(pool: &PgPool, error: sqlx::Error) -> Error {
    match sqlx::query_scalar::<_, bool>("select pg_is_in_recovery()").fetch_one(pool).await {
        Ok(true) => Error::InRecovery,
        Ok(false) | Err(_) => Error::at("looking at the server's history")(error),
    }
}
