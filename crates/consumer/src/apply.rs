//! One batch, one transaction: the step of the partition, the guards' judgement, the effect.
//!
//! The order of statements is the guard's (see [`dionysus_postgres::guards`]): step, judgement, then the rows. How many there are does not depend on how
//! many messages a batch holds: one or two judge a round, and each replica gets a delete and one upsert per shape.

use std::collections::BTreeMap;

use dionysus_postgres::Error as DatabaseError;
use dionysus_postgres::guards::{self, Candidate, Entry, Remembered};
use dionysus_postgres::offsets::{self, Step};
use dionysus_postgres::replicas;
use sqlx::{PgConnection, PgPool};

use crate::change::{Action, Change, Route};
use crate::decode::Order;
use crate::replica::Replica;
use crate::rows::Writes;

/// What a transaction did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Applied {
    /// Changes that were written to a replica, or removed from it.
    pub(crate) applied: u64,
    /// Changes that a guard refused.
    pub(crate) stale: u64,
}

/// Why it did nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The partition's offset is not where the batch begins: somebody else has moved it.
    Fenced,
    /// The database could not, or would not.
    Database(DatabaseError),
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// A change that was admitted.
#[derive(Clone, Copy, Debug)]
struct Admitted<'c, 'a> {
    change: &'c Change<'a>,
    /// What the guard said to an unversioned change; a versioned one has taken its entry's place already.
    entry: Option<Entry>,
}

/// What is left to be noted in an entry: deleted, or (`None`) alive again.
type Settlement<'c> = (&'c str, &'c str, Option<Remembered>);

/// Applies the rounds of a batch, each sorted, and takes the partition's step, or does neither.
pub(crate) async fn apply(
    pool: &PgPool,
    route: &Route,
    step: &Step<'_>,
    rounds: &[Vec<Change<'_>>],
) -> Result<Applied, Failure> {
    let mut tx = guards::begin(pool).await?;
    if !offsets::advance(&mut tx, step).await? {
        return Err(Failure::Fenced);
    }
    let mut total = Applied::default();
    for changes in rounds {
        let applied = apply_round(&mut tx, route, changes).await?;
        total.applied += applied;
        total.stale += count(changes.len()) - applied;
    }
    guards::commit(tx).await?;
    Ok(total)
}

/// Returns how many were admitted.
async fn apply_round(
    conn: &mut PgConnection,
    route: &Route,
    changes: &[Change<'_>],
) -> Result<u64, DatabaseError> {
    let mut admitted = admit_versioned(conn, route, changes).await?;
    admitted.extend(admit_unversioned(conn, route, changes).await?);
    let mut by_replica: BTreeMap<usize, Vec<Admitted<'_, '_>>> = BTreeMap::new();
    for one in &admitted {
        by_replica.entry(one.change.replica).or_default().push(*one);
    }
    let mut settlements = Vec::new();
    for (index, changes) in &by_replica {
        let replica = &route.replicas[*index];
        // Deletes first: a value that is unique beside the id may have moved to another row.
        remove(conn, replica, changes, &mut settlements).await?;
        write(conn, replica, changes, &mut settlements).await?;
    }
    guards::settle(conn, &settlements).await?;
    Ok(count(admitted.len()))
}

async fn admit_versioned<'c, 'a>(
    conn: &mut PgConnection,
    route: &Route,
    changes: &'c [Change<'a>],
) -> Result<Vec<Admitted<'c, 'a>>, DatabaseError> {
    let (mut candidates, mut versioned) =
        (Vec::with_capacity(changes.len()), Vec::with_capacity(changes.len()));
    for change in changes {
        let Order::Versioned(version, as_of) = change.order else { continue };
        candidates.push(Candidate {
            replica: &route.replicas[change.replica].name,
            id: &change.id,
            version: version.get(),
            as_of: as_of.get(),
            deleted: change.action == Action::Remove,
        });
        versioned.push(change);
    }
    let admitted = guards::admit(conn, &candidates).await?;
    Ok(admitted
        .into_iter()
        .map(|index| Admitted { change: versioned[index], entry: None })
        .collect())
}

/// The right column of the guard's table: entries are locked first, then times are compared.
async fn admit_unversioned<'c, 'a>(
    conn: &mut PgConnection,
    route: &Route,
    changes: &'c [Change<'a>],
) -> Result<Vec<Admitted<'c, 'a>>, DatabaseError> {
    let unversioned: Vec<&Change<'_>> =
        changes.iter().filter(|change| change.order == Order::Unversioned).collect();
    let keys: Vec<(&str, &str)> = unversioned
        .iter()
        .map(|change| (route.replicas[change.replica].name.as_str(), &*change.id))
        .collect();
    let entries = guards::hold(conn, &keys).await?;
    let mut admitted: Vec<Admitted<'_, '_>> = unversioned
        .into_iter()
        .zip(entries)
        .filter(|(change, entry)| passes_entry(change, *entry))
        .map(|(change, entry)| Admitted { change, entry: Some(entry) })
        .collect();
    for (index, replica) in route.replicas.iter().enumerate() {
        let Some(time) = replica.time() else { continue };
        let judged: Vec<(usize, &str, &str)> = admitted
            .iter()
            .enumerate()
            .filter(|(_, one)| one.change.replica == index && one.entry == Some(Entry::Live))
            .filter_map(|(place, one)| {
                Some((place, &*one.change.id, &*one.change.time.as_ref()?.text))
            })
            .collect();
        let messages: Vec<(&str, &str)> = judged.iter().map(|(_, id, time)| (*id, *time)).collect();
        let stale = replicas::stale(conn, &replica.table, replica.id, time, &messages).await?;
        let mut passes = vec![true; admitted.len()];
        for place in stale {
            passes[judged[place].0] = false;
        }
        let mut passes = passes.into_iter();
        admitted.retain(|_| passes.next().unwrap_or(true));
    }
    Ok(admitted)
}

/// What the entry alone says to an unversioned change.
fn passes_entry(change: &Change<'_>, entry: Entry) -> bool {
    match entry {
        Entry::Live => true,
        Entry::DeletedByVersion => false,
        Entry::Deleted(Remembered(remembered)) => {
            match (change.time.as_ref().and_then(|time| time.micros), remembered) {
                (Some(time), Some(remembered)) => time > remembered,
                _ => change.revives,
            }
        }
    }
}

async fn remove<'c>(
    conn: &mut PgConnection,
    replica: &'c Replica,
    changes: &[Admitted<'c, '_>],
    settlements: &mut Vec<Settlement<'c>>,
) -> Result<(), DatabaseError> {
    let removals = || changes.iter().filter(|one| one.change.action == Action::Remove);
    let ids: Vec<&str> =
        removals().filter(|one| one.entry.is_none()).map(|one| &*one.change.id).collect();
    replicas::delete(conn, &replica.table, replica.id, &ids).await?;
    let unversioned: Vec<&Admitted<'_, '_>> =
        removals().filter(|one| one.entry.is_some()).collect();
    let ids: Vec<&str> = unversioned.iter().map(|one| &*one.change.id).collect();
    let times = if let Some(time) = replica.time() {
        replicas::delete_remembering(conn, &replica.table, replica.id, time, &ids).await?
    } else {
        replicas::delete(conn, &replica.table, replica.id, &ids).await?;
        vec![None; ids.len()]
    };
    for (one, local) in unversioned.iter().zip(times) {
        let before = match one.entry {
            Some(Entry::Deleted(Remembered(time))) => time,
            _ => None,
        };
        let own = one.change.time.as_ref().and_then(|time| time.micros);
        settlements.push((
            &replica.name,
            &one.change.id,
            Some(Remembered(before.max(own).max(local))),
        ));
    }
    Ok(())
}

async fn write<'c>(
    conn: &mut PgConnection,
    replica: &'c Replica,
    changes: &[Admitted<'c, '_>],
    settlements: &mut Vec<Settlement<'c>>,
) -> Result<(), DatabaseError> {
    let mut writes = Writes::new(replica);
    for one in changes.iter().filter(|one| one.change.action != Action::Remove) {
        writes.add(one.change);
        if matches!(one.entry, Some(Entry::Deleted(_))) {
            settlements.push((&replica.name, &one.change.id, None));
        }
    }
    for rows in writes.into_rows() {
        replicas::upsert(conn, &replica.table, rows).await?;
    }
    Ok(())
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
