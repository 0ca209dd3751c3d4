//! Reading a document that [`document`](super::document) wrote.

use serde_json::{Map, Value};

use super::{ModelContract, TopicContract};
use crate::Schema;

/// A document that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no AsyncAPI document of the version that is written here.
    #[error("this is not an AsyncAPI 3 document")]
    NotAsyncApi,
    /// A topic lacks what only we write.
    #[error(
        "the channel `{channel}` does not say what it carries: `{place}` is missing or not what it should be"
    )]
    Incomplete {
        /// The channel.
        channel: String,
        /// Where in the channel.
        place: &'static str,
    },
}

impl ReadError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        Some("give a file that `dionysus topics --asyncapi --out FILE` has written".into())
    }
}

/// The topics of a document.
///
/// # Errors
/// [`ReadError`] when it was not written by [`document`](super::document).
pub fn read(document: &Value) -> Result<Vec<TopicContract>, ReadError> {
    let is_ours = document["asyncapi"].as_str().is_some_and(|version| version.starts_with("3."));
    let channels = document["channels"].as_object().filter(|_| is_ours);
    let channels = channels.ok_or(ReadError::NotAsyncApi)?;
    channels
        .iter()
        .filter(|(_, channel)| channel["x-dionysus"].get("genesis_of").is_none())
        .map(|(name, channel)| topic(name, channel, document))
        .collect()
}

fn topic(name: &str, channel: &Value, document: &Value) -> Result<TopicContract, ReadError> {
    let missing = |place| ReadError::Incomplete { channel: name.to_owned(), place };
    let ours = channel["x-dionysus"].as_object().ok_or(missing("x-dionysus"))?;
    let models = ours.get("models").and_then(Value::as_array);
    let models = models.ok_or(missing("x-dionysus.models"))?;
    let partitions = channel["bindings"]["kafka"]["partitions"].as_u64();
    Ok(TopicContract {
        name: channel["address"].as_str().ok_or(missing("address"))?.to_owned(),
        namespace: text(ours, "namespace").ok_or(missing("x-dionysus.namespace"))?,
        genesis_replica: text(ours, "genesis").is_some(),
        max_message_bytes: ours.get("max_message_bytes").and_then(Value::as_u64),
        partitions: partitions.and_then(|partitions| u32::try_from(partitions).ok()),
        models: models
            .iter()
            .map(|model| self::model(model, document).ok_or(missing("x-dionysus.models")))
            .collect::<Result<_, _>>()?,
    })
}

fn model(model: &Value, document: &Value) -> Option<ModelContract> {
    let fields = model.as_object()?;
    let schema = model["schema"]["$ref"].as_str()?.strip_prefix('#')?;
    Some(ModelContract {
        name: text(fields, "model")?,
        base: text(fields, "base"),
        id: text(fields, "id")?,
        primary_key: text(fields, "primary_key")?,
        soft_delete: text(fields, "soft_delete"),
        partition_key: fields.get("partition_key").cloned().unwrap_or(Value::Null),
        schema: Schema::from(document.pointer(schema)?.clone()),
    })
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    Some(fields.get(name)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::document;

    fn rentals() -> TopicContract {
        let topology = json!({ "max_message_bytes": 998_976, "models": [
            {
                "model": "Core::Rental",
                "primary_key": "rental_id",
                "columns": [{ "name": "id", "column": "rental_id" }],
                "soft_delete": "canceled_at",
                "partition_key": { "attribute": "account_id", "integer": false },
                "schema": Schema::object([("id", Schema::integer())]).into_value(),
            },
            { "model": "Car", "base": "Vehicle" },
            { "model": "Vehicle" },
        ] });
        let rentals = TopicContract::registered("v3_rentals", "v3", true, &topology);
        TopicContract { partitions: Some(12), ..rentals }
    }

    #[test]
    fn a_document_is_read_back_as_what_it_was_written_from() {
        let topics = [rentals(), TopicContract::registered("v3_empty", "v3", false, &json!({}))];
        assert_eq!(read(&document(&topics)), Ok(topics.to_vec()));
        assert_eq!(read(&document(&[])), Ok(vec![]));
    }

    #[test]
    fn a_document_of_another_kind_is_refused_with_its_place() {
        for other in [json!(null), json!([]), json!({ "openapi": "3.0.0", "channels": {} })] {
            assert_eq!(read(&other), Err(ReadError::NotAsyncApi));
        }
        let mut document = document(&[rentals()]);
        document["components"]["schemas"] = json!({});
        let error = read(&document).unwrap_err();
        assert!(error.to_string().starts_with("the channel `v3_rentals` does not say"), "{error}");
        assert!(error.remedy().is_some());
    }
}
