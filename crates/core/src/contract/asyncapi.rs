//! The AsyncAPI 3.0 document of topics.
//!
//! It is the same text whether it was made by the application or from the database: Postgres gives the keys of `jsonb` an order of its own, so
//! within schemas that order is used, and members of a snapshot are put in the order of `required`, which is that on the wire.

use serde_json::{Map, Value, json};

use super::message::{self, BINDING_VERSION};
use super::{ModelContract, TopicContract};

/// One document for all these topics, as JSON.
///
/// ```
/// use dionysus_core::contract::{TopicContract, document};
/// use serde_json::json;
///
/// let topology = json!({ "models": [{ "model": "Rental" }] });
/// let rentals = TopicContract::registered("v3_rentals", "v3", true, &topology);
/// let document = document(&[rentals]);
/// assert_eq!(document["asyncapi"], "3.0.0");
/// assert_eq!(document["channels"]["v3_rentals_genesis"]["address"], "v3_rentals_genesis");
/// assert_eq!(document["components"]["messages"]["v3_rentals.Rental.created"]["name"], "rental_created");
/// ```
pub fn document(topics: &[TopicContract]) -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    for topic in topics {
        let mut named = Vec::new();
        for model in &topic.models {
            schemas.insert(schema_name(topic, model), ordered(model.schema.as_value()));
            for (name, message) in message::of(topic, model) {
                let place = format!("{}.{name}", topic.name);
                named.push((name, place.clone()));
                messages.insert(place, message);
            }
        }
        channels.insert(topic.name.clone(), channel(topic, &named));
        operations.insert(format!("publish.{}", topic.name), operation(&topic.name, &named));
        if let Some(twin) = topic.genesis() {
            channels.insert(twin.clone(), twin_channel(topic, &twin, &named));
            operations.insert(format!("publish.{twin}"), operation(&twin, &named));
        }
    }
    schemas.insert("headers".into(), message::headers());
    json!({
        "asyncapi": "3.0.0",
        "info": info(topics),
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

/// The name of a model's snapshot among the schemas.
pub(super) fn schema_name(topic: &TopicContract, model: &ModelContract) -> String {
    format!("{}.{}", topic.name, message::component(&model.name))
}

fn info(topics: &[TopicContract]) -> Value {
    let mut namespaces: Vec<&str> = topics.iter().map(|topic| topic.namespace.as_str()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let version = if namespaces.is_empty() { "none".into() } else { namespaces.join(" ") };
    json!({
        "title": "Snapshots published through Dionysus",
        "version": version,
        "description": "Each message holds the snapshot of one instance after one event. At least once, in order per key. The version counts the \
    namespaces: within one, a message changes only so that its consumers go on reading it.",
    })
}

fn channel(topic: &TopicContract, messages: &[(String, String)]) -> Value {
    let models: Vec<Value> = topic
        .models
        .iter()
        .map(|model| {
            json!({
                "model": model.name,
                "base": model.base,
                "id": model.id,
                "primary_key": model.primary_key,
                "soft_delete": model.soft_delete,
                "partition_key": ordered(&model.partition_key),
                "schema": reference(&format!("components/schemas/{}", schema_name(topic, model))),
            })
        })
        .collect();
    json!({
        "address": topic.name,
        "messages": references(messages),
        "bindings": { "kafka": binding(&topic.name, topic) },
        "x-dionysus": {
            "namespace": topic.namespace,
            "genesis": topic.genesis(),
            "max_message_bytes": topic.max_message_bytes,
            "models": models,
        },
    })
}

fn twin_channel(topic: &TopicContract, twin: &str, messages: &[(String, String)]) -> Value {
    let mut binding = binding(twin, topic);
    binding["topicConfiguration"] = json!({ "cleanup.policy": ["compact"] });
    json!({
        "address": twin,
        "description": format!("Each message of {}, and all instances that there are whenever a genesis run streams them.", topic.name),
        "messages": references(messages),
        "bindings": { "kafka": binding },
        "x-dionysus": { "genesis_of": topic.name },
    })
}

/// A twin has as many partitions as its topic.
fn binding(name: &str, topic: &TopicContract) -> Value {
    let mut binding = json!({ "topic": name });
    if let Some(partitions) = topic.partitions {
        binding["partitions"] = partitions.into();
    }
    binding["bindingVersion"] = BINDING_VERSION.into();
    binding
}

fn operation(channel: &str, messages: &[(String, String)]) -> Value {
    let of_channel: Vec<Value> = messages
        .iter()
        .map(|(name, _)| reference(&format!("channels/{channel}/messages/{name}")))
        .collect();
    json!({
        "action": "send",
        "channel": reference(&format!("channels/{channel}")),
        "messages": of_channel,
    })
}

fn references(messages: &[(String, String)]) -> Value {
    let references = messages
        .iter()
        .map(|(name, place)| (name.clone(), reference(&format!("components/messages/{place}"))));
    Value::Object(references.collect())
}

pub(super) fn reference(place: &str) -> Value {
    json!({ "$ref": format!("#/{place}") })
}

/// The keys in the order that `jsonb` has, shorter ones first; properties in the order of `required`.
pub(super) fn ordered(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => {
            let mut members: Vec<(&String, Value)> = keywords
                .iter()
                .map(|(name, value)| match value {
                    Value::Object(properties) if name == "properties" => {
                        (name, ordered_properties(properties, &schema["required"]))
                    }
                    other => (name, ordered(other)),
                })
                .collect();
            members.sort_by_key(|(name, _)| (name.len(), *name));
            members.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(values) => values.iter().map(ordered).collect(),
        other => other.clone(),
    }
}

fn ordered_properties(properties: &Map<String, Value>, required: &Value) -> Value {
    let required = required.as_array().map_or(&[][..], Vec::as_slice);
    let place = |name: &str| required.iter().position(|known| known == name);
    let mut members: Vec<_> = properties.iter().collect();
    members.sort_by_key(|(name, _)| {
        (place(name).unwrap_or(required.len()), name.len(), (*name).clone())
    });
    members.into_iter().map(|(name, value)| (name.clone(), ordered(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_does_not_depend_on_the_order_before() {
        let one = json!({ "type": "object", "required": ["z", "a"], "properties": { "part": {}, "a": {}, "z": { "type": "string", "format": "x" } } });
        let other = json!({ "properties": { "z": { "format": "x", "type": "string" }, "part": {}, "a": {} }, "required": ["z", "a"], "type": "object" });
        let text = r#"{"type":"object","required":["z","a"],"properties":{"z":{"type":"string","format":"x"},"a":{},"part":{}}}"#;
        assert_eq!(ordered(&one).to_string(), text);
        assert_eq!(ordered(&other).to_string(), text);
    }
}
