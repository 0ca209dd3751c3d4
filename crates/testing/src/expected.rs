//! What an event is expected to be, and how far one is from it.

use std::fmt::Display;

use serde_json::Value;

use crate::EnqueuedEvent;

/// A description of events. What it does not name may be anything.
///
/// The assertions make it of their `name = value` pairs, each of which is a method here; [`expected!`](crate::expected) makes it by itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Expected {
    texts: Vec<(Field, String)>,
    data: Option<Value>,
    links: Option<Value>,
    headers: Option<Value>,
    tombstone: Option<bool>,
    pub(crate) count: Option<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Event,
    Key,
    Id,
    Model,
    Topic,
    PartitionKey,
}

/// One respect in which an event is not as expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Difference {
    /// `key`, `data.name`.
    pub(crate) path: String,
    pub(crate) expected: String,
    pub(crate) found: String,
    /// How much it speaks against this event being the one that was meant.
    weight: usize,
}

impl Expected {
    /// Any event.
    pub fn new() -> Self {
        Self::default()
    }

    /// The event's name, `rental_created`. In the macros it needs no name when it comes first.
    pub fn event(self, event: impl Display) -> Self {
        self.text(Field::Event, event)
    }

    /// The Kafka key, `Rental:1`.
    pub fn key(self, key: impl Display) -> Self {
        self.text(Field::Key, key)
    }

    /// The instance's id.
    pub fn id(self, id: impl Display) -> Self {
        self.text(Field::Id, id)
    }

    /// The model's name, `Rental`.
    pub fn model(self, model: impl Display) -> Self {
        self.text(Field::Model, model)
    }

    /// The primary topic, `v3_rentals`.
    pub fn topic(self, topic: impl Display) -> Self {
        self.text(Field::Topic, topic)
    }

    /// What the partition is chosen by.
    pub fn partition_key(self, key: impl Display) -> Self {
        self.text(Field::PartitionKey, key)
    }

    /// Attributes (and links, and parts) that the snapshot must have: objects may hold more than is expected, also inside; everything else
    /// must be equal, lists in length and order too.
    pub fn data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// Links that the snapshot must have, as for [`data`](Self::data).
    pub fn links(mut self, links: Value) -> Self {
        self.links = Some(links);
        self
    }

    /// Headers of the row that it must have, as for [`data`](Self::data): the trace context. Ours are added by the relay.
    pub fn headers(mut self, headers: Value) -> Self {
        self.headers = Some(headers);
        self
    }

    /// Whether it publishes a null value.
    pub fn tombstone(mut self, is_one: bool) -> Self {
        self.tombstone = Some(is_one);
        self
    }

    /// So many events, neither fewer nor more. Default: at least one. For [`assert_enqueued!`](crate::assert_enqueued) alone.
    pub fn count(mut self, events: usize) -> Self {
        self.count = Some(events);
        self
    }

    /// Whether an event is as expected; the count is not its concern.
    pub fn matches(&self, event: &EnqueuedEvent) -> bool {
        self.differences(event).is_empty()
    }

    fn text(mut self, field: Field, text: impl Display) -> Self {
        self.texts.push((field, text.to_string()));
        self
    }

    /// In what respects the event is not as expected.
    pub(crate) fn differences(&self, event: &EnqueuedEvent) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (field, expected) in &self.texts {
            let found = field.of(event);
            if found != Some(expected) {
                differences.push(Difference {
                    path: field.name().to_owned(),
                    expected: quoted(expected),
                    found: found.map_or_else(|| ABSENT.to_owned(), quoted),
                    weight: field.weight(),
                });
            }
        }
        if let Some(expected) = self.tombstone.filter(|it| *it != event.is_tombstone()) {
            let text = |tombstone| if tombstone { "a tombstone" } else { "a message" };
            differences.push(Difference {
                path: "value".into(),
                expected: text(expected).into(),
                found: text(!expected).into(),
                weight: 3,
            });
        }
        let data = event.data();
        for (path, expected, found) in [
            ("data", &self.data, Some(data)),
            ("links", &self.links, data.get("links")),
            ("headers", &self.headers, Some(&event.headers)),
        ] {
            if let Some(expected) = expected {
                compare(path, expected, found, &mut differences);
            }
        }
        differences
    }

    /// What is expected, one line a respect.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .texts
            .iter()
            .map(|(field, text)| format!("{} = {}", field.name(), quoted(text)))
            .collect();
        if let Some(tombstone) = self.tombstone {
            lines.push(format!("tombstone = {tombstone}"));
        }
        for (path, expected) in
            [("data", &self.data), ("links", &self.links), ("headers", &self.headers)]
        {
            if let Some(expected) = expected {
                let mut leaves = Vec::new();
                // Compared with nothing, every leaf differs.
                compare_leaves(path, expected, &mut leaves);
                lines.extend(leaves);
            }
        }
        lines
    }
}

/// How far it is from what was expected, for the order in which candidates are shown.
pub(crate) fn distance(differences: &[Difference]) -> usize {
    differences.iter().map(|difference| difference.weight).sum()
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Key => "key",
            Self::Id => "id",
            Self::Model => "model",
            Self::Topic => "topic",
            Self::PartitionKey => "partition_key",
        }
    }

    /// Another instance's event is further away than another state of this one.
    const fn weight(self) -> usize {
        match self {
            Self::Key | Self::Id => 8,
            Self::Model => 6,
            Self::Event => 4,
            Self::Topic => 3,
            Self::PartitionKey => 1,
        }
    }

    fn of(self, event: &EnqueuedEvent) -> Option<&String> {
        Some(match self {
            Self::Event => &event.event,
            Self::Key => &event.key,
            Self::Id => &event.model_id,
            Self::Model => &event.model,
            Self::Topic => &event.topic,
            Self::PartitionKey => return event.partition_key.as_ref(),
        })
    }
}

const ABSENT: &str = "(absent)";

/// Longer values are cut: the difference is what is looked for.
const SHOWN_MAX: usize = 300;

fn compare(path: &str, expected: &Value, found: Option<&Value>, out: &mut Vec<Difference>) {
    match (expected, found) {
        (Value::Object(expected), Some(Value::Object(found))) => {
            for (name, value) in expected {
                compare(&format!("{path}.{name}"), value, found.get(name), out);
            }
        }
        (Value::Array(expected), Some(Value::Array(found))) if expected.len() == found.len() => {
            for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}[{at}]"), expected, Some(found), out);
            }
        }
        (expected, Some(found)) if expected == found => {}
        (expected, found) => out.push(Difference {
            path: path.to_owned(),
            expected: shown(expected),
            found: found.map_or_else(|| ABSENT.to_owned(), shown),
            weight: 1,
        }),
    }
}

fn compare_leaves(path: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                compare_leaves(&format!("{path}.{name}"), value, out);
            }
        }
        value => out.push(format!("{path} = {}", shown(value))),
    }
}

fn quoted(text: impl AsRef<str>) -> String {
    shown(&Value::from(text.as_ref()))
}

/// JSON on one line.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(expected: &Value, found: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        compare("data", expected, Some(found), &mut differences);
        differences
            .into_iter()
            .map(|it| format!("{} {} {}", it.path, it.expected, it.found))
            .collect()
    }

    #[test]
    fn objects_may_hold_more_and_nothing_else_may() {
        let found = json!({"id": 1, "name": "Villa", "fees": [{"id": 2, "rate": "1.50"}], "links": {"fees": [2], "account": 7}});
        for expected in [
            json!({}),
            json!({"name": "Villa"}),
            json!({"fees": [{"rate": "1.50"}], "links": {"account": 7}}),
        ] {
            assert_eq!(paths(&expected, &found), Vec::<String>::new(), "{expected}");
        }
        for (expected, differences) in [
            (json!({"id": "1"}), vec![r#"data.id "1" 1"#]),
            (json!({"id": 1.0}), vec!["data.id 1.0 1"]),
            (json!({"nome": null}), vec!["data.nome null (absent)"]),
            (json!({"fees": []}), vec![r#"data.fees [] [{"id":2,"rate":"1.50"}]"#]),
            (json!({"fees": [{"id": 3}]}), vec!["data.fees[0].id 3 2"]),
            (
                json!({"links": {"account": {"id": 7}}, "name": "Villa "}),
                vec![r#"data.links.account {"id":7} 7"#, r#"data.name "Villa " "Villa""#],
            ),
        ] {
            assert_eq!(paths(&expected, &found), differences, "{expected}");
        }
    }

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        let text = shown(&Value::from("é".repeat(1_000)));
        assert_eq!(text.chars().count(), SHOWN_MAX + 3);
    }
}
