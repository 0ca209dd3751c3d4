//! The messages of a model: one for each event, and the tombstone.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::asyncapi::{ordered, reference, schema_name};
use super::{ModelContract, TopicContract};
use crate::{EventKind, Model, Schema, headers as names};

/// Of the Kafka bindings that the document uses.
pub(super) const BINDING_VERSION: &str = "0.5.0";

/// Each message with its name among those of the topic.
pub(super) fn of(topic: &TopicContract, model: &ModelContract) -> Vec<(String, Value)> {
    let snapshot = reference(&format!("components/schemas/{}", schema_name(topic, model)));
    let destroyed = ordered(model.destroyed_schema().as_value());
    let event = |kind, as_model: &str, data: &Value, summary: &str| {
        let event = event_name(&model.name, kind);
        message(&event, summary, as_model, &envelope(&event, as_model, data))
    };
    let own = model.name.as_str();
    let mut messages = vec![
        ("created", event(EventKind::Created, own, &snapshot, "It is new, or visible again.")),
        ("updated", event(EventKind::Updated, own, &snapshot, "It changed.")),
    ];
    if model.soft_delete.is_some() {
        let summary = "It was soft-deleted: the row is still there.";
        messages.push(("soft_deleted", event(EventKind::Destroyed, own, &snapshot, summary)));
    }
    let base = model.destroyed_as();
    let summary = "Its row is gone.";
    messages.push(("destroyed", event(EventKind::Destroyed, base, &destroyed, summary)));
    let null = Schema::from(json!({ "type": "null" }));
    let summary = "Kafka may forget its key: a value that is null.";
    messages.push(("tombstone", message("tombstone", summary, base, &null)));
    messages
        .into_iter()
        .map(|(name, message)| (format!("{}.{name}", component(own)), message))
        .collect()
}

/// What travels beside each value.
pub(super) fn headers() -> Value {
    let digits = || Schema::string().pattern("[0-9]+").into_value();
    let described = |mut schema: Value, description: &str| {
        schema["description"] = description.into();
        schema
    };
    let time = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z";
    let time = Schema::string().format("date-time").pattern(time).into_value();
    let trace = Schema::string().pattern("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}");
    json!({
        "type": "object",
        "required": [names::VERSION],
        "properties": {
            names::VERSION: described(digits(), "Orders all snapshots of a key: apply none that is below what you hold."),
            names::AS_OF: described(digits(), "Of a genesis message: which of two with one version is the newer. Absent means 0."),
            names::EVENT_ID: described(Schema::uuid().into_value(), "The same when a message comes twice."),
            names::SNAPSHOT_TIME: described(time, "When the snapshot was written."),
            names::TRACEPARENT: described(trace.into_value(), "W3C trace context of the transaction."),
            names::TRACESTATE: described(Schema::string().into_value(), "W3C trace context of the transaction."),
        },
    })
}

fn message(name: &str, summary: &str, key_model: &str, payload: &Schema) -> Value {
    let key = Schema::string().pattern(&format!("{}:.+", escaped(key_model)));
    json!({
        "name": name,
        "summary": summary,
        "contentType": "application/json",
        "headers": reference("components/schemas/headers"),
        "payload": payload.as_value(),
        "bindings": { "kafka": { "key": key.into_value(), "bindingVersion": BINDING_VERSION } },
    })
}

/// Exactly one event with exactly one snapshot (spec §3.2).
fn envelope(event: &str, model: &str, data: &Value) -> Schema {
    let only = |items: Value| {
        json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": items }).into()
    };
    let constant = |text: &str| Schema::from(json!({ "type": "string", "const": text }));
    let event = Schema::object([
        ("event", constant(event)),
        ("model_name", constant(model)),
        ("data", only(data.clone())),
    ]);
    Schema::object([("message", only(event.into_value()))])
}

fn event_name(model: &str, kind: EventKind) -> String {
    match Model::new(model) {
        Ok(model) => model.event(kind),
        // Registered by a later version, whose names we do not know.
        Err(_) => format!("{model}_{kind}"),
    }
}

/// A model's name as part of a component's, which takes ASCII letters, digits, `.`, `-` and `_`: `Core::Booking` is `Core-Booking`.
pub(super) fn component(model: &str) -> String {
    let mut name = String::new();
    for c in model.replace("::", "-").chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            name.push(c);
        } else {
            // Writing to a String can't fail.
            write!(name, "--{:x}-", u32::from(c)).ok();
        }
    }
    name
}

/// A model's name in a regular expression.
fn escaped(model: &str) -> String {
    let special = |c: char| c.is_ascii_punctuation() && !matches!(c, '_' | ':' | '-' | '/');
    model.chars().fold(String::new(), |mut escaped, c| {
        if special(c) {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_take_the_characters_that_asyncapi_takes_and_stay_apart() {
        let names = ["Core::Booking", "CoreBooking", "Maß", "Ma::df::Core", "A::B_c"];
        let components = names.map(component);
        assert_eq!(components[0], "Core-Booking");
        assert_eq!(components[2], "Ma--df-");
        for (i, one) in components.iter().enumerate() {
            assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{one}");
            assert!(!components[..i].contains(one), "{one}");
        }
    }
}
