//! From an instance to the events of its topics: everything that can be refused is refused here, before a statement is run.

use std::sync::Arc;

use dionysus_core::{EventKind, JsonWriter, Topic};

use crate::topology::{Place, PublishedModel, Topology};
use crate::{Error, Publishable};

/// Bytes of a key, `Model:id`, that the outbox can index: Postgres takes 2,704 bytes for an index entry, and the topic's name is in it too.
pub(crate) const KEY_BYTES_MAX: usize = 2_048;

/// An event of one instance for one topic, with its snapshot frozen.
#[derive(Clone, PartialEq)]
pub(crate) struct StagedEvent {
    pub(crate) place: Place,
    pub(crate) kind: EventKind,
    /// Whether the instance was there, not soft-deleted, in any of the updates that this event stands for.
    pub(crate) visible: bool,
    pub(crate) key: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) partition_key: Option<String>,
    /// One JSON object; the envelope comes when it is known which event it will be.
    pub(crate) data: Arc<[u8]>,
}

impl StagedEvent {
    /// One event for each topic that publishes the type. All or none: a refusal by one topic stages nothing.
    pub(crate) fn of<M: Publishable + 'static>(
        topology: &Topology,
        kind: EventKind,
        instance: &M,
    ) -> Result<Vec<Self>, Error> {
        let places = topology.places::<M>();
        let Some(first) = places.first() else {
            return Err(Error::ModelNotPublished { model: M::MODEL.to_owned() });
        };
        let (_, model) = topology.at(*first);
        let (id, key) = key_of(model, instance)?;
        let data = snapshot(kind, instance)?;
        places
            .iter()
            .map(|&place| {
                let (topic, model) = topology.at(place);
                let size = key.len() + model.envelope_bytes() + data.len();
                if size > topic.max_message_bytes() {
                    return Err(Error::TooLarge {
                        topic: topic.name().to_string(),
                        model: M::MODEL.to_owned(),
                        size,
                        limit: topic.max_message_bytes(),
                    });
                }
                Ok(Self {
                    place,
                    kind,
                    visible: !instance.soft_deleted(),
                    key: Arc::clone(&key),
                    id: Arc::clone(&id),
                    partition_key: partition_key(topic.name(), model, instance)?,
                    data: Arc::clone(&data),
                })
            })
            .collect()
    }
}

fn key_of<M: Publishable>(
    model: &PublishedModel,
    instance: &M,
) -> Result<(Arc<str>, Arc<str>), Error> {
    let id = instance.id();
    if id.is_empty() {
        return Err(Error::EmptyId { model: M::MODEL.to_owned() });
    }
    if id.contains('\0') {
        return Err(Error::Nul { model: M::MODEL.to_owned() });
    }
    let key = model.name().key(&id);
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong {
            model: M::MODEL.to_owned(),
            size: key.len(),
            limit: KEY_BYTES_MAX,
        });
    }
    Ok((id.into(), key.into()))
}

/// Of an instance whose row is gone only the id is left; a soft-deleted one is published whole (spec §3.2).
fn snapshot<M: Publishable>(kind: EventKind, instance: &M) -> Result<Arc<[u8]>, Error> {
    let mut out = JsonWriter::new();
    if kind == EventKind::Destroyed && !instance.soft_deleted() {
        instance.write_destroyed(&mut out);
    } else {
        instance.write_snapshot(&mut out);
    }
    out.finish()
        .map(Arc::from)
        .map_err(|source| Error::Snapshot { model: M::MODEL.to_owned(), source })
}

fn partition_key<M: Publishable + 'static>(
    topic: &Topic,
    model: &PublishedModel,
    instance: &M,
) -> Result<Option<String>, Error> {
    let key = model.partition_key().of(instance).map_err(|_| Error::PartitionKeyNotInteger {
        topic: topic.to_string(),
        model: M::MODEL.to_owned(),
        attribute: model.partition_key().attribute().unwrap_or_default().to_owned(),
    })?;
    match key.as_deref() {
        Some("") => {
            Err(Error::EmptyPartitionKey { topic: topic.to_string(), model: M::MODEL.to_owned() })
        }
        Some(text) if text.contains('\0') => Err(Error::Nul { model: M::MODEL.to_owned() }),
        _ => Ok(key),
    }
}
