//! From a registered model and its table to what the trigger has to do, or to everything that is in the way.

use dionysus_core::NameError;
use serde_json::Value;

use super::catalog::{Server, Table};
use super::column::Column;
use super::fault::CaptureFault;
use super::form::{Agreement, agree};
use super::names::Names;
use super::registration::{Model, PartitionKey, Topology};

const STATE_IT: &str = "state the events of this model in the application (`tx.changed(before, after)`), or publish what a row of its table has";
const START_IT: &str =
    "start the application in this version: it registers its topology when it connects its outbox";
const ANOTHER_KEY: &str = "choose an attribute whose column is an integer, a text, a uuid or a boolean, or state the events in the application";
const MIGRATE_IT: &str = "migrate the application's tables, or correct the model's declaration";

/// What is captured of a model.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a topology says of a model: each its own yes or no"
)]
pub(super) struct Plan {
    pub(super) model: dionysus_core::Model,
    pub(super) names: Names,
    pub(super) table: String,
    pub(super) partitioned: bool,
    pub(super) id: Column,
    pub(super) attributes: Vec<Field>,
    pub(super) links: Vec<Linked>,
    pub(super) soft_delete: Option<Column>,
    pub(super) updates_after_soft_delete: bool,
    pub(super) partition_key: Option<Key>,
    pub(super) tombstones: bool,
    pub(super) max_message_bytes: u64,
    /// Bytes of text are checked while they are written.
    pub(super) checks_bytes: bool,
    /// What a person should look at.
    pub(super) notes: Vec<String>,
}

/// A value under its name on the wire.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) column: Column,
    /// The type that the row says.
    pub(super) type_name: String,
}

/// A to-one link.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) id: Field,
    /// Of a polymorphic link.
    pub(super) model: Option<Field>,
}

/// The partition key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) column: Column,
    /// Null counts as 0, as in the gem.
    pub(super) integer: bool,
}

/// Collects faults and notes while a plan is made.
struct Planner<'a> {
    model: &'a Model,
    table: &'a Table,
    faults: Vec<CaptureFault>,
    notes: Vec<String>,
}

impl Plan {
    pub(super) fn new(
        topic: &str,
        topology: &Topology,
        model: &Model,
        table: Option<Table>,
        server: &Server,
    ) -> Result<Self, Vec<CaptureFault>> {
        let fault = |what: String, remedy| {
            vec![CaptureFault { model: Some(model.name.clone()), what, remedy }]
        };
        let name = dionysus_core::Model::new(&*model.name)
            .map_err(|error: NameError| fault(error.to_string(), START_IT))?;
        let Some(table) = table else {
            let what = format!("there is no table `{}` (a view is none)", model.table);
            return Err(fault(what, MIGRATE_IT));
        };
        let mut planner = Planner { model, table: &table, faults: Vec::new(), notes: Vec::new() };
        planner.refuse_what_is_no_row();
        let id = planner.column("the primary key", &model.primary_key);
        planner.check_key("the primary key", id.as_ref());
        let attributes = planner.attributes();
        let links = planner.links();
        let soft_delete = model.soft_delete.as_ref();
        let soft_delete =
            soft_delete.and_then(|name| planner.column("the soft-delete column", name));
        let partition_key = model.partition_key.as_ref().and_then(|key| planner.partition_key(key));
        let Planner { mut faults, notes, .. } = planner;
        if faults.is_empty() && model.source.as_deref() == Some("typed") {
            let what = "its messages are made by a function of the application".into();
            faults.extend(fault(what, STATE_IT));
        }
        match id {
            Some(id) if faults.is_empty() => Ok(Self {
                names: Names::new(topic, &model.name),
                model: name,
                partitioned: table.partitioned,
                table: table.name,
                id,
                attributes,
                links,
                soft_delete,
                updates_after_soft_delete: model.updates_after_soft_delete,
                partition_key,
                tombstones: topology.tombstones,
                max_message_bytes: topology.max_message_bytes,
                checks_bytes: server.is_utf8(),
                notes,
            }),
            _ => Err(faults),
        }
    }

    /// The columns that a change must touch to be published.
    pub(super) fn published(&self) -> Vec<&Column> {
        let links = self.links.iter().flat_map(|link| [Some(&link.id), link.model.as_ref()]);
        let fields = self.attributes.iter().chain(links.flatten()).map(|field| &field.column);
        let mut columns: Vec<&Column> = Vec::new();
        for column in fields.chain(self.partition_key.iter().map(|key| &key.column)) {
            if !columns.iter().any(|known| known.name == column.name) {
                columns.push(column);
            }
        }
        columns
    }
}

impl Planner<'_> {
    fn refuse(&mut self, what: impl Into<String>, remedy: &'static str) {
        let model = Some(self.model.name.clone());
        self.faults.push(CaptureFault { model, what: what.into(), remedy });
    }

    fn refuse_what_is_no_row(&mut self) {
        let model = self.model;
        if let Some(base) = &model.base {
            self.refuse(format!("its table also holds the other models of `{base}`"), STATE_IT);
        }
        if model.select.is_some() {
            self.refuse("it is read by a query of its own (`select`)", STATE_IT);
        }
        for part in &model.parts {
            self.refuse(format!("its part `{}` lives in another table", part.name), STATE_IT);
        }
    }

    /// Looks a column up; `what` is its part in the model.
    fn column(&mut self, what: &str, name: &str) -> Option<Column> {
        match self.table.columns.iter().find(|column| column.name == name) {
            Some(column) if !column.is_virtual => return Some(column.clone()),
            Some(_) => {
                let what = format!("{what} is column `{name}`, which is generated when it is read");
                self.refuse(what, "make it a stored generated column, or leave it out with `#[publishable(skip)]`");
            }
            None => {
                let what =
                    format!("{what} is column `{name}`, which {} does not have", self.table.name);
                self.refuse(what, MIGRATE_IT);
            }
        }
        None
    }

    fn check_key(&mut self, what: &str, column: Option<&Column>) {
        if let Some(column) = column.filter(|column| !column.is_verbatim()) {
            let what = format!("{what} `{}` has the type `{}`", column.name, column.type_name);
            self.refuse(what, ANOTHER_KEY);
        }
    }

    fn attributes(&mut self) -> Vec<Field> {
        let mut fields = Vec::new();
        for attribute in self.model.columns.iter().filter(|attribute| !attribute.hidden) {
            let name = &attribute.name;
            let what = format!("attribute `{name}`");
            if attribute.column.is_empty() {
                self.refuse(
                    format!("{what} is computed by a function of the application"),
                    STATE_IT,
                );
            } else {
                let schema = self.model.attribute_schema(name);
                fields.extend(self.field(&what, name, &attribute.column, schema));
            }
        }
        fields
    }

    /// A column that is written as the type behind `schema` would write it.
    fn field(
        &mut self,
        what: &str,
        name: &str,
        column: &str,
        schema: Option<&Value>,
    ) -> Option<Field> {
        let column = self.column(what, column)?;
        let Some(schema) = schema else {
            self.refuse(format!("{what} was registered by an earlier version"), START_IT);
            return None;
        };
        let type_name = match agree(schema, &column) {
            Agreement::As(type_name) => type_name,
            Agreement::Unknown(why) => {
                self.notes.push(format!("{what}: {why}"));
                column.type_name.clone()
            }
            Agreement::Never(why) => {
                self.refuse(format!("{what}: {why}"), STATE_IT);
                return None;
            }
        };
        Some(Field { name: name.to_owned(), column, type_name })
    }

    fn links(&mut self) -> Vec<Linked> {
        let Some(links) = &self.model.links else {
            self.refuse("it was registered by an earlier version, without its links", START_IT);
            return Vec::new();
        };
        let mut linked = Vec::new();
        for link in links {
            let (name, what) = (&link.name, format!("link `{}`", link.name));
            let polymorphic = link.kind == "polymorphic";
            let schema = |member| {
                let schema = self.model.link_schema(&link.name)?;
                let object = schema["anyOf"].get(0).unwrap_or(schema);
                if polymorphic { object["properties"].get(member) } else { Some(schema) }
            };
            match (&link.column, &link.type_column) {
                _ if link.kind == "to_many" => {
                    self.refuse(format!("{what} names instances of another table"), STATE_IT);
                }
                (Some(id), Some(model)) if polymorphic => {
                    let id = self.field(&what, name, id, schema("id"));
                    let model = self.field(&what, name, model, schema("type"));
                    linked
                        .extend(id.zip(model).map(|(id, model)| Linked { id, model: Some(model) }));
                }
                (Some(id), _) if !polymorphic => {
                    let id = self.field(&what, name, id, schema("id"));
                    linked.extend(id.map(|id| Linked { id, model: None }));
                }
                _ => self.refuse(format!("{what} is computed by the application"), STATE_IT),
            }
        }
        linked
    }

    fn partition_key(&mut self, key: &PartitionKey) -> Option<Key> {
        let Some(name) = &key.attribute else {
            self.refuse("its partition key is computed by the application", ANOTHER_KEY);
            return None;
        };
        let what = format!("the partition key `{name}`");
        let attribute = self.model.columns.iter().find(|attribute| attribute.name == *name);
        let column = match attribute.map(|attribute| attribute.column.as_str()) {
            Some("") => {
                self.refuse(format!("{what} is computed by the application"), ANOTHER_KEY);
                return None;
            }
            Some(column) => self.column(&what, column)?,
            None => return None,
        };
        if key.integer && !column.is_integer() {
            let what = format!(
                "{what} is to be made an integer, and its column is `{}`",
                column.type_name
            );
            self.refuse(what, "take an integer column for the partition key, or state the events in the application");
            return None;
        }
        self.check_key("the partition key", Some(&column));
        Some(Key { column, integer: key.integer })
    }
}
