//! The constant part of a model's messages, encoded once: thousands of events in one commit share it.

use dionysus_core::{EventKind, Model, encode_message};

/// The envelopes of one model, one for each kind of event.
#[derive(Clone, Debug)]
pub(super) struct Envelopes {
    created: Envelope,
    updated: Envelope,
    destroyed: Envelope,
}

#[derive(Clone, Debug)]
struct Envelope {
    event: String,
    /// A message without its snapshot.
    bytes: Vec<u8>,
    /// Where the snapshot belongs.
    data_at: usize,
}

impl Envelopes {
    /// For events named after `model` that say they are of `name`.
    pub(super) fn of(model: &Model, name: &Model) -> Self {
        let of = |kind| Envelope::of(model, name, kind);
        Self {
            created: of(EventKind::Created),
            updated: of(EventKind::Updated),
            destroyed: of(EventKind::Destroyed),
        }
    }

    pub(super) fn event_name(&self, kind: EventKind) -> &str {
        &self.get(kind).event
    }

    pub(super) fn longest(&self) -> usize {
        [&self.created, &self.updated, &self.destroyed]
            .map(|envelope| envelope.bytes.len())
            .into_iter()
            .fold(0, usize::max)
    }

    pub(super) fn write(&self, kind: EventKind, data: &[u8], out: &mut Vec<u8>) {
        let Envelope { bytes, data_at, .. } = self.get(kind);
        let (before, after) = bytes.split_at(*data_at);
        out.reserve(bytes.len() + data.len());
        out.extend_from_slice(before);
        out.extend_from_slice(data);
        out.extend_from_slice(after);
    }

    fn get(&self, kind: EventKind) -> &Envelope {
        match kind {
            EventKind::Created => &self.created,
            EventKind::Updated => &self.updated,
            EventKind::Destroyed => &self.destroyed,
        }
    }
}

impl Envelope {
    fn of(model: &Model, name: &Model, kind: EventKind) -> Self {
        let event = model.event(kind);
        let bytes = encode_message(&event, name.as_str(), b"");
        // The snapshot begins where a message with one parts from a message without.
        let probe = encode_message(&event, name.as_str(), b"{}");
        let data_at = bytes.iter().zip(&probe).take_while(|(a, b)| a == b).count();
        Self { event, bytes, data_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_bytes_of_the_one_encoder() {
        let model = Model::new("Core::Booking").unwrap();
        let envelopes = Envelopes::of(&model, &model);
        let data = br#"{"id":1,"links":{}}"#;
        let mut out = b"earlier".to_vec();
        for kind in [EventKind::Created, EventKind::Updated, EventKind::Destroyed] {
            let name = envelopes.event_name(kind);
            let whole = encode_message(name, "Core::Booking", data);
            out.truncate("earlier".len());
            envelopes.write(kind, data, &mut out);
            assert_eq!(out["earlier".len()..], whole);
            assert!(whole.len() <= envelopes.longest() + data.len());
        }
        assert_eq!(
            envelopes.longest(),
            encode_message("core_booking_destroyed", "Core::Booking", b"").len()
        );
    }
}
