//! The root lock: how a snapshot that spans several rows is read, so that its messages can be put in order.
//!
//! # Why
//! Rows of one key are in order because each is inserted after a statement that locked the instance's row (see [`transaction`](crate::transaction)). A
//! part has a row of its own: two transactions that change two parts of one aggregate wait for nothing, each reads the aggregate without the other's
//! change, and whichever draws the higher number publishes a snapshot that lacks what the other has committed, for ever.
//!
//! # The protocol
//! At commit, when all changes of the transaction have been made:
//! 1. Dependants are looked up, one statement for each declared path. More than the limit: a genesis run is requested instead.
//! 2. Every instance to be read is locked, `for no key update`, in the order of table and primary key, and read, whole, by statements that begin
//!    after the lock was granted.
//! 3. The events are written; each draws its number under the locks.
//! 4. Commit releases the locks.
//!
//! # Invariant
//! Of two transactions that publish one root, the second gets the lock after the first has committed. Its statements see the first's parts (READ COMMITTED: each
//! statement takes a new snapshot), and its number is higher. So the message with the highest number holds both changes.
//!
//! What may happen: waiting, for another transaction that publishes the same root, as long as that takes from here to its commit; a deadlock
//! (40P01) with a transaction that locks a root before a part, where ours locked the part before. Postgres ends one of the two: try again, or lock
//! the root first in both. What can't: a snapshot older than its number.
//!
//! Above READ COMMITTED a statement sees the state before the lock, so it is refused ([`dionysus_postgres::Error::AboveReadCommitted`]). That suffices where only
//! one of two transactions is above: the other reads after it has the lock.
//!
//! # What is not there
//! A root or dependant that does not exist (any more) gives no message: it has its own, from the transaction that deleted it. An instance that was staged
//! by its id, or as an aggregate, and is gone at commit is left out with a warning.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dionysus_postgres::genesis_runs::{self, Request};
use dionysus_postgres::instances::{self, Source};
use serde_json::json;
use sqlx::PgConnection;

use crate::Error;
use crate::coalesce::StagedEvents;
use crate::derived::Derived;
use crate::instance::Instance;
use crate::read::Read;
use crate::staged::{Encoder, Headers};
use crate::topology::{Change, Topology};
use crate::transition::Transition;

/// Reads what was left for the commit, and completes the events.
pub(crate) async fn settle(
    topology: &Topology,
    events: &mut StagedEvents,
    mut derived: Derived,
    conn: &mut PgConnection,
) -> Result<(), Error> {
    if derived.is_empty() && !events.has_deferred() {
        return Ok(());
    }
    follow_unread(topology, &mut derived, conn).await?;
    look_up(topology, &mut derived, conn).await?;
    for (source, types) in wanted(topology, events, &derived) {
        // Two types of one table share its order of locks.
        let locked = types.len() > 1;
        if locked {
            let ids: BTreeSet<&String> = types.values().flatten().collect();
            let ids: Vec<String> = ids.into_iter().cloned().collect();
            instances::lock(conn, topology.types(), source, &ids).await?;
        }
        for (of_type, ids) in types {
            let Some(reader) = reader(topology, &derived, of_type) else { continue };
            let ids: Vec<String> = ids.into_iter().collect();
            for instance in reader.read(conn, topology.types(), &ids, locked).await? {
                complete(topology, events, &derived, &*instance)?;
            }
        }
    }
    for (model, count) in events.drop_deferred(|place| topology.at(place).1.name().to_string()) {
        tracing::warn!(model, count, "staged instances are gone at commit, not published");
    }
    Ok(())
}

/// Instances named by id may be parts, or observed: whom they concern is read from their rows.
async fn follow_unread(
    topology: &Topology,
    derived: &mut Derived,
    conn: &mut PgConnection,
) -> Result<(), Error> {
    for (of_type, (ids, headers)) in std::mem::take(&mut derived.unread) {
        let Some(reader) = reader(topology, derived, of_type) else { continue };
        let ids: Vec<String> = ids.into_iter().collect();
        // The transaction has changed them, so it holds their locks.
        for instance in reader.read(conn, topology.types(), &ids, true).await? {
            let change = Change { before: None, after: Some(&*instance), before_is_unknown: true };
            let mut concerns = Vec::new();
            topology.routes().concerned(&change, true, |concern| concerns.push(concern));
            for concern in concerns {
                derived.add(concern, &headers);
            }
        }
    }
    Ok(())
}

/// Finds roots and dependants that no row at hand names; too many of them are left to a genesis run.
async fn look_up(
    topology: &Topology,
    derived: &mut Derived,
    conn: &mut PgConnection,
) -> Result<(), Error> {
    let inline = topology.inline_dependants();
    let limit = i64::try_from(inline).unwrap_or(i64::MAX).saturating_add(1);
    for (at, (values, headers)) in std::mem::take(&mut derived.lookups) {
        let lookup = topology.routes().at(at);
        let values: Vec<String> = values.into_iter().collect();
        let found =
            instances::find(conn, topology.types(), lookup.source, &lookup.path, &values, limit)
                .await?;
        if found.len() <= inline {
            for id in found {
                derived.roots.entry((lookup.place, id)).or_insert_with(|| headers.clone());
            }
            continue;
        }
        let (topic, model) = topology.at(lookup.place);
        let selection = json!({ "path": lookup.path.to_json(), "values": values });
        let request = Request {
            topic: topic.name().as_str(),
            model: model.name().as_str(),
            requested_by: lookup.cause,
            selection: Some(&selection),
        };
        let run = genesis_runs::request(conn, &request).await?;
        tracing::info!(%run, topic = topic.name().as_str(), model = model.name().as_str(), cause = lookup.cause, "too many dependants for one transaction, genesis run requested");
    }
    Ok(())
}

/// What is to be read: ids by type, types by table.
fn wanted(
    topology: &Topology,
    events: &StagedEvents,
    derived: &Derived,
) -> BTreeMap<Source, BTreeMap<TypeId, BTreeSet<String>>> {
    let deferred = events.deferred().map(|event| (event.place, event.id().to_owned()));
    let all = deferred.chain(derived.roots.keys().cloned());
    let mut wanted: BTreeMap<Source, BTreeMap<TypeId, BTreeSet<String>>> = BTreeMap::new();
    for (place, id) in all {
        let (of_type, mut source) = topology.type_at(place);
        // Types of one table are locked together, whatever their queries.
        source.select = None;
        wanted.entry(source).or_default().entry(of_type).or_default().insert(id);
    }
    wanted
}

fn reader(topology: &Topology, derived: &Derived, of_type: TypeId) -> Option<Arc<dyn Read>> {
    let found = topology.reader(of_type).or_else(|| derived.readers.get(&of_type));
    found.map(Arc::clone)
}

/// Freezes the snapshot of an instance that was read, in each topic that waits for it.
fn complete(
    topology: &Topology,
    events: &mut StagedEvents,
    derived: &Derived,
    instance: &dyn Instance,
) -> Result<(), Error> {
    let id = instance.id();
    let mut own = None;
    for &place in topology.places_of(instance.of_type()) {
        let headers: Option<&Headers> = derived.roots.get(&(place, id.clone()));
        let key = topology.at(place).1.name().key(&id);
        if headers.is_none() && !events.awaits(place, &key) {
            continue;
        }
        let mut encoder = Encoder::new(topology, headers.cloned().flatten());
        let event = encoder.event(place, Transition::Updated, instance, true, &mut own)?;
        if headers.is_some() {
            events.record(event);
        } else {
            events.fill(event);
        }
    }
    Ok(())
}
