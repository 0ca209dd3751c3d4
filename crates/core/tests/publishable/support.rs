//! Reading recordings, and writing messages as the producer does.

use dionysus_core::{EncodeError, EventKind, Model, Publishable, encode_message_with};
use serde_json::Value;

/// A message of a recording.
pub(crate) struct Recorded {
    pub(crate) step: u64,
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) payload: String,
}

/// The messages of all steps, in order.
pub(crate) fn recorded(recording: &str) -> Vec<Recorded> {
    let recording: Value = serde_json::from_str(recording).unwrap();
    let mut messages = Vec::new();
    for step in recording["steps"].as_array().unwrap() {
        for message in step["messages"].as_array().into_iter().flatten() {
            let text = |field: &str| message[field].as_str().unwrap().to_owned();
            messages.push(Recorded {
                step: step["n"].as_u64().unwrap(),
                topic: text("topic"),
                key: text("key"),
                payload: text("payload"),
            });
        }
    }
    messages
}

/// The payload of a change after which the row is there.
pub(crate) fn message<P: Publishable>(
    kind: EventKind,
    instance: &P,
    parts: &[&str],
) -> Result<String, EncodeError> {
    let event = Model::new(P::MODEL).unwrap().event(kind);
    encode_message_with(&event, P::MODEL, |out| instance.write_snapshot_with(parts, out))
        .map(|bytes| String::from_utf8(bytes).unwrap())
}

/// The payload of a hard delete.
pub(crate) fn farewell<P: Publishable>(instance: &P) -> String {
    let event = Model::new(P::MODEL).unwrap().event(EventKind::Destroyed);
    let model = P::BASE.unwrap_or(P::MODEL);
    let bytes = encode_message_with(&event, model, |out| instance.write_destroyed(out)).unwrap();
    String::from_utf8(bytes).unwrap()
}
