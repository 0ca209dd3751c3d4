//! Messages in shapes that no recording has. Each expected text was written by hand from the rules of spec §3.1-§3.8 and §4; none was copied from
//! what this crate writes.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod names;
mod shapes;
mod values;

use dionysus_core::{EventKind, JsonWriter, Model, Publishable, encode_message_with};

/// Everything of a message but its topic; headers are the relay's.
#[derive(Debug, PartialEq)]
struct Message {
    key: String,
    partition_key: Option<String>,
    payload: String,
}

/// The message of a change after which the row is there.
fn message<M: Publishable>(kind: EventKind, instance: &M, parts: &[&str]) -> Message {
    encoded(kind, M::MODEL, instance, |out| instance.write_snapshot_with(parts, out))
}

/// The message of a hard delete.
fn farewell<M: Publishable>(instance: &M) -> Message {
    let model = M::BASE.unwrap_or(M::MODEL);
    encoded(EventKind::Destroyed, model, instance, |out| instance.write_destroyed(out))
}

fn encoded<M: Publishable>(
    kind: EventKind,
    model: &str,
    instance: &M,
    write: impl FnOnce(&mut JsonWriter),
) -> Message {
    let event = Model::new(M::MODEL).unwrap().event(kind);
    let payload = encode_message_with(&event, model, write).unwrap();
    Message {
        key: Model::new(model).unwrap().key(&instance.id()),
        partition_key: M::PARTITION_KEY
            .and_then(|attribute| instance.partition_key_of(attribute).unwrap()),
        payload: String::from_utf8(payload).unwrap(),
    }
}

/// What is expected.
fn bytes(key: &str, partition_key: Option<&str>, payload: &str) -> Message {
    Message {
        key: key.to_owned(),
        partition_key: partition_key.map(str::to_owned),
        payload: payload.to_owned(),
    }
}

/// The snapshot alone.
fn snapshot<M: Publishable>(instance: &M) -> String {
    let mut out = JsonWriter::new();
    instance.write_snapshot(&mut out);
    String::from_utf8(out.finish().unwrap()).unwrap()
}
