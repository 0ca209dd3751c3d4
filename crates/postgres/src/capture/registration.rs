//! A topic as its application registered it.

use serde::Deserialize;
use serde_json::Value;

use crate::Error;
use crate::topics::Registered;

/// What capture needs of a topic. Fields that an earlier version did not register are `None`, and then refused.
#[derive(Debug, Deserialize)]
pub(super) struct Topology {
    pub(super) max_message_bytes: u64,
    #[serde(default)]
    pub(super) tombstones: bool,
    pub(super) models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    #[serde(rename = "model")]
    pub(super) name: String,
    pub(super) base: Option<String>,
    pub(super) table: String,
    /// The column.
    pub(super) primary_key: String,
    /// A query that is read in place of the table.
    pub(super) select: Option<String>,
    /// `typed` when only the application's code can make its messages.
    pub(super) source: Option<String>,
    pub(super) columns: Vec<Attribute>,
    pub(super) links: Option<Vec<Link>>,
    #[serde(default)]
    pub(super) parts: Vec<Part>,
    /// The column.
    pub(super) soft_delete: Option<String>,
    #[serde(default)]
    pub(super) updates_after_soft_delete: bool,
    pub(super) partition_key: Option<PartitionKey>,
    /// Of a snapshot, as JSON Schema.
    schema: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// Empty when its value is computed.
    pub(super) column: String,
    pub(super) hidden: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) column: Option<String>,
    pub(super) type_column: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
}

/// How the partition key is found: by an attribute's name, or by the application.
#[derive(Debug, Deserialize)]
pub(super) struct PartitionKey {
    pub(super) attribute: Option<String>,
    #[serde(default)]
    pub(super) integer: bool,
}

impl Model {
    /// What an attribute is written as.
    pub(super) fn attribute_schema(&self, name: &str) -> Option<&Value> {
        self.schema.as_ref()?["properties"].get(name)
    }

    /// What a link is written as.
    pub(super) fn link_schema(&self, name: &str) -> Option<&Value> {
        self.attribute_schema("links")?["properties"].get(name)
    }
}

impl Topology {
    pub(super) fn read(registered: &Registered) -> Result<Self, Error> {
        Self::deserialize(&registered.topology)
            .map_err(|source| Error::Registration { topic: registered.name.clone(), source })
    }
}
