//! A topic and its models as declared and checked.

use std::any::TypeId;

use dionysus_core::{EventKind, Model, Topic};
use dionysus_postgres::topics::Registration;
use serde_json::json;

use super::envelope::Envelopes;
use super::partition_key::PartitionKey;
use crate::{AttributeInfo, Publishable};

/// A checked topic of a [`Topology`](super::Topology).
#[derive(Clone, Debug)]
pub struct PublishedTopic {
    pub(super) name: Topic,
    pub(super) namespace: String,
    pub(super) genesis_replica: bool,
    pub(super) max_message_bytes: usize,
    pub(super) models: Vec<PublishedModel>,
}

/// A model within a topic.
#[derive(Clone, Debug)]
pub struct PublishedModel {
    pub(super) type_id: TypeId,
    pub(super) name: Model,
    pub(super) table: &'static str,
    pub(super) primary_key: &'static str,
    pub(super) attributes: &'static [AttributeInfo],
    pub(super) soft_delete: Option<&'static str>,
    pub(super) partition_key: PartitionKey,
    updates_after_soft_delete: bool,
    envelopes: Envelopes,
}

impl PublishedTopic {
    /// The full name, `v3_rentals`.
    pub fn name(&self) -> &Topic {
        &self.name
    }

    /// The namespace, `v3`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name of the genesis twin, if the topic has one.
    pub fn genesis(&self) -> Option<String> {
        self.genesis_replica.then(|| self.name.genesis())
    }

    /// The largest message, in bytes of key and value.
    pub fn max_message_bytes(&self) -> usize {
        self.max_message_bytes
    }

    /// The models, in the order of their declaration.
    pub fn models(&self) -> impl Iterator<Item = &PublishedModel> {
        self.models.iter()
    }

    /// A model by its name on the wire.
    pub fn model(&self, name: &str) -> Option<&PublishedModel> {
        self.models.iter().find(|model| model.name.as_str() == name)
    }

    pub(super) fn registration(&self) -> Registration {
        Registration {
            name: self.name.as_str().to_owned(),
            namespace: self.namespace.clone(),
            genesis_replica: self.genesis_replica,
            topology: json!({
                "format": 1,
                "max_message_bytes": self.max_message_bytes,
                "models": self.models.iter().map(PublishedModel::registration).collect::<Vec<_>>(),
            }),
        }
    }
}

impl PublishedModel {
    pub(super) fn of<M: Publishable + 'static>(name: Model, partition_key: PartitionKey) -> Self {
        Self {
            type_id: TypeId::of::<M>(),
            envelopes: Envelopes::of(&name),
            name,
            table: M::TABLE,
            primary_key: M::PRIMARY_KEY,
            attributes: M::ATTRIBUTES,
            soft_delete: M::SOFT_DELETE,
            partition_key,
            updates_after_soft_delete: M::UPDATES_AFTER_SOFT_DELETE,
        }
    }

    /// The name on the wire, `Rental`.
    pub fn name(&self) -> &Model {
        &self.name
    }

    /// The table that holds the instances.
    pub fn table(&self) -> &str {
        self.table
    }

    /// The column of the primary key.
    pub fn primary_key(&self) -> &str {
        self.primary_key
    }

    /// The attributes of a snapshot, in its order, hidden ones in their place.
    pub fn attributes(&self) -> &[AttributeInfo] {
        self.attributes
    }

    /// The column that says when an instance was soft-deleted, if the model has one.
    pub fn soft_delete(&self) -> Option<&str> {
        self.soft_delete
    }

    pub(crate) fn partition_key(&self) -> &PartitionKey {
        &self.partition_key
    }

    /// Whether changes of an instance that stays soft-deleted are published.
    pub fn updates_after_soft_delete(&self) -> bool {
        self.updates_after_soft_delete
    }

    /// What the envelope adds to a snapshot, in bytes: that of the longest event, so that a limit holds whatever an event is
    /// coalesced to.
    pub(crate) fn envelope_bytes(&self) -> usize {
        self.envelopes.longest()
    }

    /// The name of an event, `rental_updated`.
    pub(crate) fn event_name(&self, kind: EventKind) -> &str {
        self.envelopes.event_name(kind)
    }

    /// Appends the message around a snapshot.
    pub(crate) fn write_message(&self, kind: EventKind, data: &[u8], out: &mut Vec<u8>) {
        self.envelopes.write(kind, data, out);
    }

    fn registration(&self) -> serde_json::Value {
        let columns: Vec<_> = self
            .attributes
            .iter()
            .map(|a| json!({ "name": a.name, "column": a.column, "type": a.type_name, "hidden": a.hidden }))
            .collect();
        json!({
            "model": self.name.as_str(),
            "table": self.table,
            "primary_key": self.primary_key,
            "columns": columns,
            "soft_delete": self.soft_delete,
            "updates_after_soft_delete": self.updates_after_soft_delete,
            "partition_key": self.partition_key.registration(),
        })
    }
}
