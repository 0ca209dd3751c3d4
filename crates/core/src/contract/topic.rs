//! What a topic promises, as it is registered in the database.

use serde_json::{Value, json};

use crate::{GENESIS_SUFFIX, Schema};

/// What a topic carries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopicContract {
    /// The primary topic, `v3_rentals`.
    pub name: String,
    /// Its namespace, `v3`; it versions the form of the messages.
    pub namespace: String,
    /// Whether each message also goes to the twin topic.
    pub genesis_replica: bool,
    /// The largest message, in bytes of key and value, if it is known.
    pub max_message_bytes: Option<u64>,
    /// The number of partitions, if it is known. The database does not know it: who asks Kafka sets it.
    pub partitions: Option<u32>,
    /// The models, as declared.
    pub models: Vec<ModelContract>,
}

/// What a topic says of a model.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelContract {
    /// The name on the wire, `Rental`.
    pub name: String,
    /// The model under which a hard delete is published, and its tombstone, when it is another.
    pub base: Option<String>,
    /// The attribute, by its name on the wire, that is the primary key.
    pub id: String,
    /// The column of the primary key: under this name it is what a hard delete leaves.
    pub primary_key: String,
    /// The column that says since when an instance is soft-deleted.
    pub soft_delete: Option<String>,
    /// Where the partition key comes from: null for the message's key, `{"attribute":"account_id","integer":false}`, `{"computed":true}`.
    pub partition_key: Value,
    /// The snapshot. [Any value](Schema::any) when the application registered none.
    pub schema: Schema,
}

impl TopicContract {
    /// Reads what an application registered: the columns `name`, `namespace`, `genesis_replica` and `topology` of the topic.
    /// Partitions are not among them. What an older version left out is taken as not promised.
    pub fn registered(
        name: &str,
        namespace: &str,
        genesis_replica: bool,
        topology: &Value,
    ) -> Self {
        let models = topology["models"].as_array().map_or(&[][..], Vec::as_slice);
        // Without its base, a topic publishes hard deletes under the model itself.
        let is_published = |base: &String| models.iter().any(|model| model["model"] == **base);
        Self {
            name: name.into(),
            namespace: namespace.into(),
            genesis_replica,
            max_message_bytes: topology["max_message_bytes"].as_u64(),
            partitions: None,
            models: models
                .iter()
                .filter_map(ModelContract::registered)
                .map(|model| ModelContract { base: model.base.filter(is_published), ..model })
                .collect(),
        }
    }

    /// The name of the twin, if there is one.
    pub fn genesis(&self) -> Option<String> {
        self.genesis_replica.then(|| format!("{}{GENESIS_SUFFIX}", self.name))
    }
}

impl ModelContract {
    fn registered(model: &Value) -> Option<Self> {
        let text = |field: &str| model[field].as_str().map(str::to_owned);
        let primary_key = text("primary_key").unwrap_or_else(|| "id".into());
        let columns = model["columns"].as_array().map_or(&[][..], Vec::as_slice);
        let id = columns.iter().find(|column| column["column"] == *primary_key);
        let id = id.and_then(|column| column["name"].as_str()).unwrap_or(&primary_key).to_owned();
        Some(Self {
            name: text("model")?,
            base: text("base"),
            id,
            primary_key,
            soft_delete: text("soft_delete"),
            partition_key: model["partition_key"].clone(),
            schema: model.get("schema").map_or_else(Schema::any, |schema| schema.clone().into()),
        })
    }

    /// The model under which a hard delete is published.
    pub(super) fn destroyed_as(&self) -> &str {
        self.base.as_deref().unwrap_or(&self.name)
    }

    /// What is left of an instance whose row is gone.
    pub(super) fn destroyed_schema(&self) -> Schema {
        let id = self.schema.as_value()["properties"].get(&self.id);
        let id = id.map_or_else(Schema::any, |id| id.clone().into());
        let no_links = Schema::from(json!({ "type": "object", "maxProperties": 0 }));
        // Nothing beside them: so a reader tells it from a snapshot.
        Schema::object([("links", no_links), (self.primary_key.as_str(), id)])
            .with("maxProperties", 2.into())
    }
}
