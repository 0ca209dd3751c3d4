//! Retention: how published rows leave the outbox.
//!
//! Rows are never deleted one by one where that can be helped: a whole leaf of the outbox (a day) is truncated, which costs the same for any
//! number of rows and leaves no dead tuple. What makes it delicate is whoever stands beside it: writers with open transactions, lanes that
//! have not passed the leaf, genesis runs that ask for the last number of a key.
//!
//! # The protocol
//! States of a leaf, oldest first; a round goes on to the next leaf only when this one is empty:
//!
//! ```text
//!            older than `keep`, and max(xid)            the floor's xid lies below       lock had, and under it
//!            below the xmin of every lane's S           the cluster's xmin               both still hold
//!   Filled ----------------------------------> Floored ----------------------> Settled ----------------------> Empty --> (dropped)
//!     ^                                                                           |
//!     +---- a row came that the floor does not cover, or that a lane has not passed
//! ```
//!
//! - *Passed* is judged by `S`, the stored beginning of a lane's window, never by its end `C`: what lies between is still to be published. Below
//!   `S.xmin` every transaction had finished when `S` was taken, so no row of theirs can become visible to that lane later. A lane that
//!   has published nothing stands at xmin 1 and holds everything.
//! - *The floor* is the leaf's highest number, read **before** the transaction that writes it has an id. So whoever takes an id after it
//!   draws a higher number; who took one before it may still bring a lower one, and is known by an id below the floor's.
//! - *Settled*: no transaction from before the floor is open any more. Every later snapshot `G` has `xmin` above the floor's id, and may use
//!   it in place of the numbers that are gone ([`floor`]). Hence a floor is committed first and the rows go later, often in the
//!   same round.
//! - *The second look*: a lock waits for open writers, and a writer we waited for may have added a row that no look before could
//!   see. Without the second look that row is lost (seen in the test, on purpose). The lock has a timeout, so that whoever queues
//!   behind us waits no longer than that.
//! - *Dropping* an empty leaf needs the parent's lock, behind which every insert queues. It is asked for without waiting; for a leaf that could
//!   not be dropped for a day, with a wait of 50 ms once a round.
//!
//! Rows of the DEFAULT partition cannot be truncated, younger ones lie beside them: they are deleted in bounded batches, in order of their
//! numbers, under the same conditions row by row. Where the role owns not all of the outbox, all rows are deleted so.
//!
//! # What may be delayed
//! Everything, at any point: a round that ends early is taken up by the next, of this relay or another. A floor without its
//! truncation is harmless.
//!
//! # What may be repeated
//! Every step. Two relays at it at once do not harm each other, since each condition is looked at again under the lock; an advisory lock
//! of the truncating transaction only keeps them from queueing behind one another. It is the transaction's and not the session's, so it
//! works behind a pooler, needs no leader and can't be left behind.
//!
//! # What can't happen
//! - A row goes that a lane has yet to publish.
//! - A row goes before a floor that covers it was committed and settled.
//! - A leaf that was detached to be kept is truncated: the second look asks.
//! - An insert waits for longer than the lock timeout, or for a leaf that is not its own (but for the 50 ms above).

mod default_rows;
mod drop;
mod floors;
mod leaf;
mod standing;
mod truncate;

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::Error;
use leaf::Leaf;
use truncate::Outcome;

pub use floors::floor;
pub use standing::{Hold, Standing};

/// How long a leaf may keep others waiting for its lock.
const LOCK_TIMEOUT_MS: u32 = 200;

/// Of the advisory lock: any number that nobody else uses.
const ADVISORY: i64 = 0x6469_6f6e_7265_7465;

/// Leaves in one round at most; more are rare (a lane that was paused for weeks) and come in the next.
const LEAVES_MAX: usize = 64;

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// Oldest first.
    pub retired: Vec<Retired>,
    /// How the outbox stands after it.
    pub standing: Standing,
}

/// Rows, or a leaf, that are gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Retired {
    /// The partition, with its schema; the whole outbox where rows were deleted.
    pub leaf: String,
    /// How they went.
    pub how: How,
    /// How many rows: exact, but for a truncated leaf above 32 MiB, where it is Postgres's estimate; 0 for an empty leaf.
    pub rows: u64,
    /// Bytes on disk that were given back, indexes included.
    pub bytes: u64,
}

/// How rows left the outbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// The leaf was truncated.
    Truncated,
    /// One by one, in batches: the space is vacuum's to give back.
    Deleted,
    /// The leaf was empty, and is gone.
    Dropped,
}

/// One round: retires what every lane has passed and what is older than `keep`, oldest first. Any number of processes may call it.
///
/// # Errors
/// [`Error::Statement`]. Locks that were not had and rights that are missing are no errors: they are in the [`Standing`].
///
/// # Cancel safety
/// Safe: each step is a transaction of its own.
pub async fn round(pool: &PgPool, keep: Duration) -> Result<Round, Error> {
    let mut conn = pool.acquire().await.map_err(Error::at("retiring rows"))?;
    let leaves = leaf::all(&mut conn, keep).await?;
    let mut round = Round::default();
    let hold = if leaves.iter().all(|leaf| leaf.owned) {
        by_leaf(&mut conn, &leaves, keep, &mut round.retired).await?
    } else if leaf::may_delete(&mut conn).await? {
        default_rows::delete(&mut conn, "dionysus.outbox", keep, &mut round.retired).await?
    } else {
        Some(Hold::Rights)
    };
    floors::prune(&mut conn).await?;
    round.standing = standing::read(&mut conn, keep, hold).await?;
    Ok(round)
}

/// How the outbox stands, without a round: what is overdue, and which lane holds it.
///
/// # Errors
/// [`Error::Statement`].
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn standing(pool: &PgPool, keep: Duration) -> Result<Standing, Error> {
    let mut conn = pool.acquire().await.map_err(Error::at("looking at the outbox"))?;
    let hold = leaf::first_holder(&mut conn, keep).await?.map(|topic| Hold::Lane { topic });
    standing::read(&mut conn, keep, hold).await
}

async fn by_leaf(
    conn: &mut PgConnection,
    leaves: &[Leaf],
    keep: Duration,
    retired: &mut Vec<Retired>,
) -> Result<Option<Hold>, Error> {
    let mut hold = None;
    for leaf in leaves.iter().filter(|leaf| leaf.is_old()).take(LEAVES_MAX) {
        match truncate::retire(conn, leaf).await? {
            Outcome::Truncated(rows) => {
                retired.push(rows);
                retired.extend(drop::empty(conn, leaf).await?);
            }
            Outcome::Empty => retired.extend(drop::empty(conn, leaf).await?),
            Outcome::Gone => {}
            Outcome::Held(by) => {
                hold = Some(by);
                break;
            }
        }
    }
    for default in leaves.iter().filter(|leaf| leaf.is_default) {
        let in_default = default_rows::delete(conn, &default.name, keep, retired).await?;
        hold = hold.or(in_default);
        retired.extend(truncate::free_space(conn, default).await?);
    }
    Ok(hold)
}

/// 55P03: lock not had in time; 40P01: deadlock; 57014: it took too long under the lock.
fn is_in_the_way(error: &sqlx::Error) -> bool {
    has_code(error, &["55P03", "40P01", "57014"])
}

/// 42P01: somebody else has dropped it.
fn is_gone(error: &sqlx::Error) -> bool {
    has_code(error, &["42P01"])
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| codes.contains(&&*code))
}
