//! From an instance to the events of its topics: what can be refused is refused here, before a statement is run.

use std::sync::Arc;

use dionysus_core::{EncodeError, EventKind, JsonWriter};
use serde_json::Value;

use crate::Error;
use crate::instance::Instance;
use crate::topology::{Place, PublishedModel, PublishedTopic, Topology};
use crate::transition::Transition;

/// Bytes of a key, `Model:id`, that the outbox can index: Postgres takes 2,704 bytes for an index entry, and the topic's name is in it too.
pub(crate) const KEY_BYTES_MAX: usize = 2_048;

/// Headers to be published beside our own: an object of texts.
pub(crate) type Headers = Option<Arc<Value>>;

/// An event of one instance for one topic.
#[derive(Clone, PartialEq)]
pub(crate) struct StagedEvent {
    pub(crate) place: Place,
    pub(crate) kind: EventKind,
    pub(crate) shown: Shown,
    /// Whether the key's tombstone follows it.
    pub(crate) tombstone: bool,
    /// Whether the instance was there, not soft-deleted, in any of the updates that this event stands for.
    pub(crate) visible: bool,
    /// Whether it is published under the base of a single-table inheritance.
    pub(crate) as_base: bool,
    pub(crate) key: Arc<str>,
    /// Where the id begins in the key.
    pub(crate) id_at: usize,
    pub(crate) partition_key: Option<String>,
    pub(crate) headers: Headers,
    /// One JSON object, frozen; the envelope comes when it is known which event it will be. `None` for what is read at commit.
    pub(crate) data: Option<Arc<[u8]>>,
}

/// Whether an event becomes a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    Yes,
    /// Not by itself: it only renews the snapshot of another.
    Unseen,
    /// There is none: only a tombstone.
    No,
}

impl StagedEvent {
    pub(crate) fn id(&self) -> &str {
        &self.key[self.id_at..]
    }

    /// How many rows it comes to.
    pub(crate) fn rows(&self) -> usize {
        usize::from(self.shown == Shown::Yes) + usize::from(self.tombstone)
    }

    /// Whether its snapshot is still to be read.
    pub(crate) fn is_deferred(&self) -> bool {
        self.shown == Shown::Yes && self.data.is_none()
    }
}

/// Makes the events of one change, for one place after the other: a snapshot that several places share is encoded once.
pub(crate) struct Encoder<'a> {
    topology: &'a Topology,
    pub(crate) headers: Headers,
    /// The largest snapshot so far, as a guess for the next.
    snapshot_bytes: usize,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(topology: &'a Topology, headers: Headers) -> Self {
        Self { topology, headers, snapshot_bytes: 0 }
    }

    /// The event of one place. With `read`, the instance has been read with its parts; else the snapshot of an aggregate is left for the commit.
    /// `own` keeps the snapshot of the instance itself from place to place.
    pub(crate) fn event(
        &mut self,
        place: Place,
        transition: Transition,
        instance: &dyn Instance,
        read: bool,
        own: &mut Option<Arc<[u8]>>,
    ) -> Result<StagedEvent, Error> {
        let (topic, model) = self.topology.at(place);
        let view = model.view(instance);
        let shown: &dyn Instance = match &view {
            Some(view) => &**view,
            None => instance,
        };
        let gone = transition == Transition::Deleted;
        let as_base = gone && model.has_base();
        let (key, id_at) = key_of(model, as_base, &shown.id())?;
        let data = if model.is_aggregate() && !read && !gone {
            None
        } else if view.is_some() || model.is_aggregate() {
            Some(self.snapshot(transition, model, shown, &key)?)
        } else {
            if own.is_none() {
                *own = Some(self.snapshot(transition, model, shown, &key)?);
            }
            own.clone()
        };
        if let Some(data) = &data {
            check_size(topic, model, &key, data.len())?;
        }
        Ok(StagedEvent {
            place,
            kind: transition.kind(),
            shown: if transition == Transition::Unseen { Shown::Unseen } else { Shown::Yes },
            tombstone: gone && topic.tombstones(),
            visible: !shown.soft_deleted(),
            as_base,
            partition_key: partition_key(topic, model, &key, shown)?,
            key,
            id_at,
            headers: self.headers.clone(),
            data,
        })
    }

    /// The event of an instance that is known by its id, to be read at commit.
    pub(crate) fn event_by_id(
        &self,
        place: Place,
        transition: Transition,
        id: &str,
    ) -> Result<StagedEvent, Error> {
        let (_, model) = self.topology.at(place);
        let (key, id_at) = key_of(model, false, id)?;
        Ok(StagedEvent {
            place,
            kind: transition.kind(),
            shown: Shown::Yes,
            tombstone: false,
            visible: true,
            as_base: false,
            key,
            id_at,
            partition_key: None,
            headers: self.headers.clone(),
            data: None,
        })
    }

    fn snapshot(
        &mut self,
        transition: Transition,
        model: &PublishedModel,
        instance: &dyn Instance,
        key: &Arc<str>,
    ) -> Result<Arc<[u8]>, Error> {
        let parts = model.part_names();
        let bytes = snapshot(transition, instance, parts, self.snapshot_bytes)
            .finish()
            .map_err(|source| refused(model, key, source))?;
        self.snapshot_bytes = self.snapshot_bytes.max(bytes.len());
        Ok(bytes.into())
    }
}

fn refused(model: &PublishedModel, key: &Arc<str>, source: EncodeError) -> Error {
    Error::Snapshot { model: model.name().to_string(), key: key.into(), source }
}

/// Of an instance whose row is gone only the id is left (spec §3.2).
fn snapshot(
    transition: Transition,
    instance: &dyn Instance,
    parts: &[&str],
    bytes: usize,
) -> JsonWriter {
    let mut out = JsonWriter::with_capacity(bytes);
    if transition == Transition::Deleted {
        instance.write_destroyed(&mut out);
    } else {
        instance.write_snapshot(parts, &mut out);
    }
    out
}

/// Whether two states differ in what is published of them. A state that could not have been published differs from any other; parts that are not
/// loaded do not count.
pub(crate) fn differs(topology: &Topology, before: &dyn Instance, after: &dyn Instance) -> bool {
    let bytes = |instance: &dyn Instance| {
        let out = snapshot(Transition::Updated, instance, &[], 0);
        let bytes = out.as_bytes().to_vec();
        match out.finish() {
            Err(fault) if !fault.is_unloaded_part() => None,
            _ => Some(bytes),
        }
    };
    let differ = |before: &dyn Instance, after: &dyn Instance| {
        let (old, new) = (bytes(before), bytes(after));
        old.is_none() || old != new
    };
    let places = topology.places_of(before.of_type());
    if places.is_empty() {
        return differ(before, after);
    }
    places.iter().any(|&place| {
        let (_, model) = topology.at(place);
        let differ = |before: &dyn Instance, after: &dyn Instance| {
            let (old, new) = (model.partition_key().of(before), model.partition_key().of(after));
            differ(before, after) || old.is_err() || old != new
        };
        match (model.view(before), model.view(after)) {
            (Some(before), Some(after)) => differ(&*before, &*after),
            _ => differ(before, after),
        }
    })
}

/// The key, and where the id begins in it.
fn key_of(model: &PublishedModel, as_base: bool, id: &str) -> Result<(Arc<str>, usize), Error> {
    let key = model.name_of(as_base).key(id);
    let name = || model.name().to_string();
    if id.is_empty() {
        return Err(Error::EmptyId { model: name(), key: key.into() });
    }
    if id.contains('\0') {
        return Err(Error::Nul { model: name(), key: key.into() });
    }
    if key.len() > KEY_BYTES_MAX {
        let size = key.len();
        return Err(Error::KeyTooLong {
            model: name(),
            key: key.into(),
            size,
            limit: KEY_BYTES_MAX,
        });
    }
    let id_at = key.len() - id.len();
    Ok((key.into(), id_at))
}

fn check_size(
    topic: &PublishedTopic,
    model: &PublishedModel,
    key: &Arc<str>,
    data: usize,
) -> Result<(), Error> {
    let size = key.len() + model.envelope_bytes() + data;
    if size <= topic.max_message_bytes() {
        return Ok(());
    }
    Err(Error::TooLarge {
        topic: topic.name().to_string(),
        model: model.name().to_string(),
        key: key.into(),
        size,
        limit: topic.max_message_bytes(),
    })
}

fn partition_key(
    topic: &PublishedTopic,
    model: &PublishedModel,
    key: &Arc<str>,
    instance: &dyn Instance,
) -> Result<Option<String>, Error> {
    let topic = || topic.name().to_string();
    let name = || model.name().to_string();
    let found = model.partition_key().of(instance).map_err(|_| Error::PartitionKeyNotInteger {
        topic: topic(),
        model: name(),
        key: key.into(),
        attribute: model.partition_key().attribute().unwrap_or_default().to_owned(),
    })?;
    match found.as_deref() {
        Some("") => {
            Err(Error::EmptyPartitionKey { topic: topic(), model: name(), key: key.into() })
        }
        Some(text) if text.contains('\0') => Err(Error::Nul { model: name(), key: key.into() }),
        _ => Ok(found),
    }
}
