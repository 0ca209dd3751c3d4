//! The payload contract: the document is one that others can read, tells the truth about the recorded messages, and changes are named.

mod differences;
mod documents;
mod recordings;

use std::fmt::Debug;

use dionysus_core::contract::{ModelContract, TopicContract, document};
use dionysus_core::{Publishable, Schema};
use jsonschema::Validator;
use serde_json::{Value, json};

fn model<M: Publishable>(parts: &[&str]) -> ModelContract {
    let id = M::ATTRIBUTES.iter().find(|attribute| attribute.column == M::PRIMARY_KEY).unwrap();
    ModelContract {
        name: M::MODEL.into(),
        base: M::BASE.map(Into::into),
        id: id.name.into(),
        primary_key: M::PRIMARY_KEY.into(),
        soft_delete: M::SOFT_DELETE.map(Into::into),
        partition_key: M::PARTITION_KEY
            .map_or(Value::Null, |attribute| json!({ "attribute": attribute, "integer": false })),
        schema: Schema::snapshot_of::<M>(parts),
    }
}

fn topic(name: &str, models: impl IntoIterator<Item = ModelContract>) -> TopicContract {
    TopicContract {
        name: name.into(),
        namespace: "v3".into(),
        genesis_replica: true,
        max_message_bytes: Some(998_976),
        partitions: None,
        models: models.into_iter().collect(),
    }
}

/// A schema of a document, with what it refers to. Formats are asserted too.
fn validator(document: &Value, schema: &Value) -> Validator {
    let whole = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [schema],
        "components": document["components"],
    });
    jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
}

/// What a reader of the document knows of one message.
struct Message {
    name: String,
    payload: Validator,
    key: Validator,
}

/// The messages of a channel.
fn messages(document: &Value, channel: &str) -> Vec<Message> {
    let references = document["channels"][channel]["messages"].as_object().unwrap();
    references
        .iter()
        .map(|(name, reference)| {
            let message = document.pointer(&reference["$ref"].as_str().unwrap()[1..]).unwrap();
            Message {
                name: name.clone(),
                payload: validator(document, &message["payload"]),
                key: validator(document, &message["bindings"]["kafka"]["key"]),
            }
        })
        .collect()
}

/// The names of the messages that a value can be.
fn matching<'a>(messages: &'a [Message], payload: &Value) -> Vec<&'a Message> {
    messages.iter().filter(|message| message.payload.is_valid(payload)).collect()
}

impl Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

fn document_of(topics: &[TopicContract]) -> Value {
    document(topics)
}
