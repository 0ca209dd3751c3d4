//! A topic and its models as declared and checked.

use std::any::TypeId;

use dionysus_core::{EventKind, LinkInfo, LinkKind, Model, PartInfo, PartKey, Schema, Topic};
use dionysus_postgres::instances::Source;
use dionysus_postgres::topics::Registration;
use serde_json::{Value, json};

use super::View;
use super::builder::{Declared, Shape};
use super::envelope::Envelopes;
use super::partition_key::PartitionKey;
use super::routes::Observed;
use crate::AttributeInfo;
use crate::instance::{Instance, Owned};

/// A checked topic of a [`Topology`](super::Topology).
#[derive(Clone, Debug)]
pub struct PublishedTopic {
    pub(super) name: Topic,
    pub(super) namespace: String,
    pub(super) genesis_replica: bool,
    pub(super) tombstones: bool,
    pub(super) max_message_bytes: usize,
    pub(super) models: Vec<PublishedModel>,
}

/// A model within a topic.
#[derive(Clone, Debug)]
pub struct PublishedModel {
    /// The type that is staged.
    pub(super) of_type: TypeId,
    pub(super) source: Source,
    name: Model,
    shape: Shape,
    view: Option<View>,
    /// The parts that its messages hold.
    parts: Vec<&'static str>,
    observed: Vec<Observed>,
    partition_key: PartitionKey,
    envelopes: Envelopes,
    base: Option<Base>,
}

/// The model under which hard deletes are published, when the topic publishes it too.
#[derive(Clone, Debug)]
struct Base {
    name: Model,
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

    /// Whether hard deletes are followed by a tombstone.
    pub fn tombstones(&self) -> bool {
        self.tombstones
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
                "tombstones": self.tombstones,
                "models": self.models.iter().map(PublishedModel::registration).collect::<Vec<_>>(),
            }),
        }
    }
}

impl PublishedModel {
    pub(super) fn new(name: Model, partition_key: PartitionKey, declared: &Declared) -> Self {
        Self {
            of_type: declared.of_type,
            source: declared.source,
            envelopes: Envelopes::of(&name, &name),
            name,
            shape: declared.shape,
            view: declared.view.clone(),
            parts: declared.part_names(),
            observed: declared.observed.clone(),
            partition_key,
            base: None,
        }
    }

    /// Looks up the base of each model among those of its topic.
    pub(super) fn find_bases(models: &mut [Self]) {
        let names: Vec<Model> = models.iter().map(|model| model.name.clone()).collect();
        for model in models {
            let base = names.iter().find(|name| Some(name.as_str()) == model.shape.base);
            model.base = base.map(|base| Base {
                name: base.clone(),
                envelopes: Envelopes::of(&model.name, base),
            });
        }
    }

    /// The name on the wire, `Rental`.
    pub fn name(&self) -> &Model {
        &self.name
    }

    /// The table that holds the instances.
    pub fn table(&self) -> &str {
        self.shape.table
    }

    /// The column of the primary key.
    pub fn primary_key(&self) -> &str {
        self.shape.primary_key
    }

    /// The attributes of a snapshot, in its order, hidden ones in their place.
    pub fn attributes(&self) -> &[AttributeInfo] {
        self.shape.attributes
    }

    /// The links of a snapshot, in its order.
    pub fn links(&self) -> &[LinkInfo] {
        self.shape.links
    }

    /// The parts that its messages hold, in their order; empty without any.
    pub fn parts(&self) -> impl Iterator<Item = &PartInfo> {
        self.parts.iter().filter_map(|name| self.shape.parts.iter().find(|part| part.name == *name))
    }

    /// The column that says when an instance was soft-deleted, if the model has one.
    pub fn soft_delete(&self) -> Option<&str> {
        self.shape.soft_delete
    }

    pub(crate) fn partition_key(&self) -> &PartitionKey {
        &self.partition_key
    }

    /// Whether changes of an instance that stays soft-deleted are published.
    pub fn updates_after_soft_delete(&self) -> bool {
        self.shape.updates_after_soft_delete
    }

    /// What the envelope adds to a snapshot, in bytes: that of the longest event, so that a limit holds whatever an event is
    /// coalesced to.
    pub(crate) fn envelope_bytes(&self) -> usize {
        let base = self.base.as_ref().map_or(0, |base| base.envelopes.longest());
        self.envelopes.longest().max(base)
    }

    /// The name of an event, `rental_updated`.
    pub(crate) fn event_name(&self, kind: EventKind) -> &str {
        self.envelopes.event_name(kind)
    }

    /// The model that a message names: its base for the end of an instance of a single-table inheritance.
    pub(crate) fn name_of(&self, as_base: bool) -> &Model {
        match &self.base {
            Some(base) if as_base => &base.name,
            _ => &self.name,
        }
    }

    /// Whether hard deletes are published under another model.
    pub(crate) fn has_base(&self) -> bool {
        self.base.is_some()
    }

    /// Appends the message around a snapshot.
    pub(crate) fn write_message(
        &self,
        kind: EventKind,
        as_base: bool,
        data: &[u8],
        out: &mut Vec<u8>,
    ) {
        match &self.base {
            Some(base) if as_base => base.envelopes.write(kind, data, out),
            _ => self.envelopes.write(kind, data, out),
        }
    }

    /// The names of the parts that its messages hold.
    pub(crate) fn part_names(&self) -> &[&'static str] {
        &self.parts
    }

    /// Whether snapshots are read when the transaction commits.
    pub(crate) fn is_aggregate(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The instance in the form that is published, where that is not its own.
    pub(crate) fn view(&self, instance: &dyn Instance) -> Option<Owned> {
        self.view.as_ref().and_then(|view| view.show(instance))
    }

    fn registration(&self) -> Value {
        let Shape { attributes, links, parts, .. } = self.shape;
        let columns: Vec<_> = attributes
            .iter()
            .map(|a| json!({ "name": a.name, "column": a.column, "type": a.type_name, "hidden": a.hidden }))
            .collect();
        let computed = attributes.iter().any(|attribute| attribute.column.is_empty())
            || links.iter().any(|link| {
                // That of a part is read with it.
                link.column.is_none() && !parts.iter().any(|part| part.name == link.name)
            });
        json!({
            "model": self.name.as_str(),
            "base": self.shape.base,
            "table": self.source.table,
            "primary_key": self.source.primary_key,
            "select": self.source.select,
            // What only the application's code can make, no statement can stream.
            "source": if computed || self.view.is_some() { "typed" } else { "sql" },
            "columns": columns,
            "links": links.iter().map(link).collect::<Vec<_>>(),
            "parts": self.parts().map(part).collect::<Vec<_>>(),
            "observes": self.observed.iter().map(Observed::registration).collect::<Vec<_>>(),
            "soft_delete": self.shape.soft_delete,
            "updates_after_soft_delete": self.shape.updates_after_soft_delete,
            "partition_key": self.partition_key.registration(),
            "schema": Schema::snapshot(self.name.as_str(), attributes, links, self.parts()).into_value(),
        })
    }
}

fn link(link: &LinkInfo) -> Value {
    let kind = match link.kind {
        LinkKind::ToOne => "to_one",
        LinkKind::ToMany => "to_many",
        _ => "polymorphic",
    };
    json!({
        "name": link.name,
        "kind": kind,
        "column": link.column,
        "type_column": link.type_column,
    })
}

fn part(part: &PartInfo) -> Value {
    let (side, column) = match part.key {
        PartKey::InPart(column) => ("part", column),
        PartKey::InRoot(column) => ("root", column),
    };
    json!({
        "name": part.name,
        "model": part.model,
        "table": part.table,
        "primary_key": part.primary_key,
        "to_many": part.to_many,
        "key": { "in": side, "column": column },
    })
}
