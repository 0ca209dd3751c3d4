//! From an instance to the events of its topics: everything that can be refused is refused here, before a statement is run.

use std::sync::Arc;

use dionysus_core::{EncodeError, EventKind, JsonWriter, Topic};
use serde_json::Value;

use crate::topology::{Place, PublishedModel, Topology};
use crate::transition::Transition;
use crate::{Error, Publishable};

/// Bytes of a key, `Model:id`, that the outbox can index: Postgres takes 2,704 bytes for an index entry, and the topic's name is in it too.
pub(crate) const KEY_BYTES_MAX: usize = 2_048;

/// An event of one instance for one topic, with its snapshot frozen.
#[derive(Clone, PartialEq)]
pub(crate) struct StagedEvent {
    pub(crate) place: Place,
    pub(crate) kind: EventKind,
    /// No event of its own: it only renews the snapshot of another.
    pub(crate) unseen: bool,
    /// Whether the instance was there, not soft-deleted, in any of the updates that this event stands for.
    pub(crate) visible: bool,
    pub(crate) key: Arc<str>,
    /// Where the id begins in the key.
    pub(crate) id_at: usize,
    pub(crate) partition_key: Option<String>,
    /// An object of texts, to be published beside our own headers.
    pub(crate) headers: Option<Arc<Value>>,
    /// One JSON object; the envelope comes when it is known which event it will be.
    pub(crate) data: Arc<[u8]>,
}

/// The events of one call on their way to the stage: all or none. A refusal by one topic, or of one instance of thousands, stages nothing.
pub(crate) struct Draft<'a> {
    topology: &'a Topology,
    headers: Option<Arc<Value>>,
    events: Vec<StagedEvent>,
    /// The largest snapshot so far, as a guess for the next.
    snapshot_bytes: usize,
}

impl StagedEvent {
    pub(crate) fn id(&self) -> &str {
        &self.key[self.id_at..]
    }
}

impl<'a> Draft<'a> {
    pub(crate) fn new(topology: &'a Topology, headers: Option<Arc<Value>>) -> Self {
        Self { topology, headers, events: Vec::new(), snapshot_bytes: 0 }
    }

    pub(crate) fn into_events(self) -> Vec<StagedEvent> {
        self.events
    }

    pub(crate) fn reserve(&mut self, instances: usize) {
        self.events.reserve(instances);
    }

    /// Adds what two states come to.
    pub(crate) fn changed<M: Publishable + 'static>(
        &mut self,
        before: Option<&M>,
        after: Option<&M>,
    ) -> Result<(), Error> {
        match (before, after) {
            (None, None) => Ok(()),
            (None, Some(after)) => self.add(Transition::Created, after),
            (Some(before), None) => self.add(Transition::Deleted, before),
            (Some(before), Some(after)) if before.id() != after.id() => {
                self.add(Transition::Deleted, before)?;
                self.add(Transition::Created, after)
            }
            (Some(before), Some(after)) => {
                let differs = || differs(self.topology, before, after);
                match Transition::between(before, after, differs) {
                    Some(transition) => self.add(transition, after),
                    None => Ok(()),
                }
            }
        }
    }

    /// Adds one event for each topic that publishes the type.
    pub(crate) fn add<M: Publishable + 'static>(
        &mut self,
        transition: Transition,
        instance: &M,
    ) -> Result<(), Error> {
        let places = self.topology.places::<M>();
        let Some(first) = places.first() else {
            return Err(Error::ModelNotPublished { model: M::MODEL.to_owned() });
        };
        let (_, model) = self.topology.at(*first);
        let (key, id_at) = key_of(model, instance)?;
        let data: Arc<[u8]> =
            snapshot(transition, instance, self.snapshot_bytes).map(Arc::from).map_err(
                |source| Error::Snapshot { model: M::MODEL.to_owned(), key: (&key).into(), source },
            )?;
        self.snapshot_bytes = self.snapshot_bytes.max(data.len());
        for &place in places {
            let (topic, model) = self.topology.at(place);
            let size = key.len() + model.envelope_bytes() + data.len();
            if size > topic.max_message_bytes() {
                return Err(Error::TooLarge {
                    topic: topic.name().to_string(),
                    model: M::MODEL.to_owned(),
                    key: (&key).into(),
                    size,
                    limit: topic.max_message_bytes(),
                });
            }
            self.events.push(StagedEvent {
                place,
                kind: transition.kind(),
                unseen: transition == Transition::Unseen,
                visible: !instance.soft_deleted(),
                partition_key: partition_key(topic.name(), model, &key, instance)?,
                key: Arc::clone(&key),
                id_at,
                headers: self.headers.clone(),
                data: Arc::clone(&data),
            });
        }
        Ok(())
    }
}

/// The key, and where the id begins in it.
fn key_of<M: Publishable>(
    model: &PublishedModel,
    instance: &M,
) -> Result<(Arc<str>, usize), Error> {
    let id = instance.id();
    let key = model.name().key(&id);
    let model = || M::MODEL.to_owned();
    if id.is_empty() {
        return Err(Error::EmptyId { model: model(), key: key.into() });
    }
    if id.contains('\0') {
        return Err(Error::Nul { model: model(), key: key.into() });
    }
    if key.len() > KEY_BYTES_MAX {
        let size = key.len();
        return Err(Error::KeyTooLong {
            model: model(),
            key: key.into(),
            size,
            limit: KEY_BYTES_MAX,
        });
    }
    let id_at = key.len() - id.len();
    Ok((key.into(), id_at))
}

/// Of an instance whose row is gone only the id is left (spec §3.2).
fn snapshot<M: Publishable>(
    transition: Transition,
    instance: &M,
    bytes: usize,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = JsonWriter::with_capacity(bytes);
    if transition == Transition::Deleted {
        instance.write_destroyed(&mut out);
    } else {
        instance.write_snapshot(&mut out);
    }
    out.finish()
}

/// Whether two states differ in what is published of them. A state that could not have been published differs from any other.
fn differs<M: Publishable + 'static>(topology: &Topology, before: &M, after: &M) -> bool {
    let bytes = |instance| snapshot(Transition::Updated, instance, 0).ok();
    let (old, new) = (bytes(before), bytes(after));
    if old.is_none() || old != new {
        return true;
    }
    topology.places::<M>().iter().any(|&place| {
        let (_, model) = topology.at(place);
        let (old, new) = (model.partition_key().of(before), model.partition_key().of(after));
        old.is_err() || old != new
    })
}

fn partition_key<M: Publishable + 'static>(
    topic: &Topic,
    model: &PublishedModel,
    key: &Arc<str>,
    instance: &M,
) -> Result<Option<String>, Error> {
    let name = || M::MODEL.to_owned();
    let found = model.partition_key().of(instance).map_err(|_| Error::PartitionKeyNotInteger {
        topic: topic.to_string(),
        model: name(),
        key: key.into(),
        attribute: model.partition_key().attribute().unwrap_or_default().to_owned(),
    })?;
    match found.as_deref() {
        Some("") => Err(Error::EmptyPartitionKey {
            topic: topic.to_string(),
            model: name(),
            key: key.into(),
        }),
        Some(text) if text.contains('\0') => Err(Error::Nul { model: name(), key: key.into() }),
        _ => Ok(found),
    }
}
