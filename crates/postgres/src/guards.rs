//! The guard: what keeps a replica from moving backwards.
//!
//! # Why
//! A message may arrive again, late, or by another way: a redelivery, a genesis run, an aggregate that carries a part which also has a topic of
//! its own, a key whose partition changed, a consumer that was declared dead and is not. A replica that takes whatever comes last shows old state,
//! and one that was told of a delete gets the row back, for ever, since nothing will ever delete it again.
//!
//! # Invariant
//! `dionysus.guards` holds for each `(replica, id)` the highest `(version, as_of)` that was ever admitted, and whether that was a delete. A snapshot is
//! admitted if its pair is **not lower** than the entry's, and **strictly higher** where the entry is a delete. Only what was admitted touches
//! the replica, in the same transaction. So what a replica holds of an instance only ever moves up, and what was deleted stays deleted until a newer
//! snapshot says that it lives again. Versions are numbers that the producer's database issued; no clock takes part.
//!
//! # How
//! One transaction per batch, READ COMMITTED:
//! 1. [`offsets::advance`](crate::offsets::advance) takes the partition's step;
//! 2. [`admit`] upserts the entries of the whole batch, one per `(replica, id)`, in that order, and returns the admitted ones. From here to the commit
//!    we hold the entries' row locks (the refused ones' as well), so nobody else is between judgement and effect;
//! 3. **later statements** write and delete the rows of the admitted ids.
//!
//! # What it survives
//! Any number of consumers, groups, topics and zombies that write one replica at once, in any order: the entry's row lock is the only meeting point,
//! and `on conflict do update .. where` judges the newest committed entry after it waited for that lock. The order of `(replica, id)` makes
//! two batches queue instead of embrace; where they still do (40P01), the transaction is tried again. A crash undoes judgement and effect together.
//!
//! # What is wrong, though it looks right
//! - *Guard and effect in one statement* (`with admitted as (insert into guards .. returning id) delete from rentals using admitted`): all parts of
//!   a statement see the snapshot from its start, before it waited for the lock. The delete then looks for the row in a world in which the
//!   other transaction had not inserted it, finds nothing, and leaves it for ever. Reproduced; a test of the consumer repeats the race against what stands here.
//! - *A graveyard* (a table of deleted ids, asked with `not exists` beside `on conflict`): a delete and an older upsert meet in two transactions,
//!   neither sees the other's row, and the upsert resurrects what was deleted.
//! - *A version column in the replica*: leaves with the row when it is deleted, and is a column in the user's table.
//!
//! # Messages without a version
//! The gem's messages carry no version. An entry that only such messages have written is *unversioned*: `version = 0` and `as_of <= 0`. [`hold`] locks
//! the entries and says what they are; then:
//!
//! | message | no entry | unversioned, live | unversioned, deleted | versioned, live | versioned, deleted |
//! | --- | --- | --- | --- | --- | --- |
//! | versioned | admitted | admitted | admitted | not lower | higher |
//! | unversioned | by time | by time | by remembered time | by time | refused |
//!
//! - *By time* is the gem's rule (spec §7.8): the message's `updated_at`, else its `created_at`, is not before the replica's column; where either is null it
//!   is admitted. [`replicas::stale`](crate::replicas::stale) asks the columns, under the entry's lock.
//! - *By remembered time*: the row and its columns are gone, so the entry keeps the newest time that was known of it (as a negative `as_of`, see
//!   [`Remembered`]). Only a later time brings the instance back; where either time is unknown, only an event that says `created`.
//! - A versioned entry keeps its version when an unversioned message passes it. A versioned delete is outranked by a version alone.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::Error;

/// Begins the transaction of a batch. READ COMMITTED, whatever the server's default: above it, the statements after a lock wait would read
/// the world from before it.
///
/// # Errors
/// [`Error::Statement`].
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    pool.begin_with("begin isolation level read committed")
        .await
        .map_err(Error::at("beginning a batch"))
}

/// Commits it: judgement, effect and progress at once.
///
/// # Errors
/// [`Error::Statement`]; after a lost connection nobody knows whether it was committed, which the partition's step finds out.
pub async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), Error> {
    tx.commit().await.map_err(Error::at("committing a batch"))
}

/// A snapshot that wants to replace what a replica holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate<'a> {
    /// The replica, as `schema.table`.
    pub replica: &'a str,
    /// The instance's id, as text.
    pub id: &'a str,
    /// The version of its message.
    pub version: i64,
    /// The `as-of` of its message.
    pub as_of: i64,
    /// Whether the row is to be deleted.
    pub deleted: bool,
}

/// Judges versioned snapshots and takes the place of what they outrank; holds the entries' locks until the transaction ends. Returns the
/// indexes of the admitted ones, ascending.
///
/// The slice must be sorted by `(replica, id)`, each at most once: that is the lock order, and Postgres refuses to touch a row twice.
///
/// # Errors
/// [`Error::Statement`].
pub async fn admit(
    conn: &mut PgConnection,
    candidates: &[Candidate<'_>],
) -> Result<Vec<usize>, Error> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    // `unnest` yields its rows in the order of the arrays, so rows are locked and returned in that order.
    let admitted: Vec<(String, String)> = sqlx::query_as(
        "insert into dionysus.guards as g (replica, id, version, as_of, deleted)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[])
         on conflict (replica, id) do update
         set version = excluded.version, as_of = excluded.as_of, deleted = excluded.deleted, updated_at = now()
         where (excluded.version, excluded.as_of) > (g.version, g.as_of)
            or ((excluded.version, excluded.as_of) = (g.version, g.as_of) and not g.deleted)
         returning replica, id",
    )
    .bind(candidates.iter().map(|c| c.replica).collect::<Vec<_>>())
    .bind(candidates.iter().map(|c| c.id).collect::<Vec<_>>())
    .bind(candidates.iter().map(|c| c.version).collect::<Vec<_>>())
    .bind(candidates.iter().map(|c| c.as_of).collect::<Vec<_>>())
    .bind(candidates.iter().map(|c| c.deleted).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(Error::at("judging snapshots by their guards"))?;
    Ok(positions(
        candidates,
        |c| (c.replica, c.id),
        admitted.iter().map(|(replica, id)| (replica.as_str(), id.as_str())),
    ))
}

/// What an entry says, to a message without a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// The instance lives, or was never heard of: the replica's times decide.
    Live,
    /// It was deleted by a message without a version.
    Deleted(Remembered),
    /// It was deleted by a version: only a version outranks that.
    DeletedByVersion,
}

/// The newest time that was known of an instance when a message without a version deleted it.
///
/// Kept in `as_of`, below every versioned value: the microseconds since 1970 counted from the least number, 0 for unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Remembered(pub Option<i64>);

impl Remembered {
    fn to_as_of(self) -> i64 {
        // Times before 1970 count as 1970: what matters is to stay below 0.
        self.0.map_or(0, |micros| i64::MIN + micros.clamp(0, i64::MAX))
    }

    fn from_as_of(as_of: i64) -> Self {
        Self((as_of < 0).then(|| as_of - i64::MIN))
    }
}

/// Locks the entries of unversioned messages, adding those that are missing, and says what they are, in the order of the slice.
///
/// The slice must be sorted by `(replica, id)`, each at most once.
///
/// # Errors
/// [`Error::Statement`].
pub async fn hold(conn: &mut PgConnection, keys: &[(&str, &str)]) -> Result<Vec<Entry>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<(String, String, i64, i64, bool)> = sqlx::query_as(
        "insert into dionysus.guards as g (replica, id)
         select * from unnest($1::text[], $2::text[])
         on conflict (replica, id) do update set updated_at = now()
         returning replica, id, version, as_of, deleted",
    )
    .bind(keys.iter().map(|(replica, _)| *replica).collect::<Vec<_>>())
    .bind(keys.iter().map(|(_, id)| *id).collect::<Vec<_>>())
    .fetch_all(conn)
    .await
    .map_err(Error::at("locking the guards of unversioned messages"))?;
    let entries: HashMap<(&str, &str), Entry> = found
        .iter()
        .map(|(replica, id, version, as_of, deleted)| {
            let entry = match (deleted, *version > 0 || *as_of > 0) {
                (false, _) => Entry::Live,
                (true, true) => Entry::DeletedByVersion,
                (true, false) => Entry::Deleted(Remembered::from_as_of(*as_of)),
            };
            ((replica.as_str(), id.as_str()), entry)
        })
        .collect();
    Ok(keys.iter().map(|key| entries.get(key).copied().unwrap_or(Entry::Live)).collect())
}

/// Notes, in entries that [`hold`] has locked, which instances unversioned messages have deleted (`Some`) or brought back (`None`).
///
/// # Errors
/// [`Error::Statement`].
pub async fn settle(
    conn: &mut PgConnection,
    changes: &[(&str, &str, Option<Remembered>)],
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update dionysus.guards g
         set deleted = c.deleted, updated_at = now(),
             as_of = case when g.version > 0 or g.as_of > 0 then g.as_of else c.as_of end
         from unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[]) as c (replica, id, deleted, as_of)
         where g.replica = c.replica and g.id = c.id",
    )
    .bind(changes.iter().map(|(replica, ..)| *replica).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, id, _)| *id).collect::<Vec<_>>())
    .bind(changes.iter().map(|(.., deleted)| deleted.is_some()).collect::<Vec<_>>())
    .bind(changes.iter().map(|(.., deleted)| deleted.map_or(0, Remembered::to_as_of)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .map_err(Error::at("settling the guards of unversioned messages"))?;
    Ok(())
}

/// Where the found keys stand in the sorted slice. Both run in the same order, so one walk does it; a key that is out of order is looked up.
fn positions<'k, T>(
    all: &'k [T],
    key: impl Fn(&'k T) -> (&'k str, &'k str),
    found: impl Iterator<Item = (&'k str, &'k str)>,
) -> Vec<usize> {
    let mut at = 0;
    let mut positions: Vec<usize> = found
        .filter_map(|wanted| {
            let ahead =
                all[at..].iter().position(|one| key(one) == wanted).map(|distance| at + distance);
            let position = ahead.or_else(|| all.iter().position(|one| key(one) == wanted))?;
            at = position + 1;
            Some(position)
        })
        .collect();
    positions.sort_unstable();
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_times_keep_their_order_below_every_version() {
        let times = [None, Some(-5), Some(1), Some(1_700_000_000_000_000), Some(i64::MAX)];
        for time in times {
            assert!(Remembered(time).to_as_of() <= 0, "{time:?}");
        }
        for time in [Some(1), Some(1_700_000_000_000_000), Some(i64::MAX)] {
            assert_eq!(Remembered::from_as_of(Remembered(time).to_as_of()), Remembered(time));
        }
        assert_eq!(Remembered::from_as_of(Remembered(None).to_as_of()), Remembered(None));
    }

    #[test]
    fn found_keys_are_placed_in_and_out_of_order() {
        let all = [("a", "1"), ("a", "2"), ("b", "1")];
        let place = |found: &[(&'static str, &'static str)]| {
            positions(&all, |one| *one, found.iter().copied())
        };
        assert_eq!(place(&[("a", "2"), ("b", "1")]), [1, 2]);
        assert_eq!(place(&[("b", "1"), ("a", "1")]), [0, 2]);
        assert_eq!(place(&[("c", "1")]), [] as [usize; 0]);
    }
}
