//! The value of a message: one event with one snapshot (spec §3.2).

use crate::{EncodeError, JsonWriter};

/// Envelope and names of a typical message; the snapshot comes on top.
const ENVELOPE_LEN: usize = 128;

/// Encodes a message around a snapshot that is already encoded: `{"message":[{"event":..,"model_name":..,"data":[..]}]}`.
///
/// `data` must be exactly one JSON object in the bytes of [`JsonWriter`]; nothing looks at it.
pub fn encode_message(event: &str, model: &str, data: &[u8]) -> Vec<u8> {
    let mut out = JsonWriter::with_capacity(ENVELOPE_LEN + data.len());
    open(&mut out, event, model);
    out.raw(data);
    close(&mut out);
    out.into_bytes()
}

/// Encodes a message and its snapshot in one pass; `snapshot` writes exactly one JSON object.
///
/// # Errors
/// [`EncodeError`] when a value of the snapshot has no form on the wire.
///
/// ```
/// use dionysus_core::encode_message_with;
///
/// let message = encode_message_with("note_created", "Note", |out| {
///     out.begin_object();
///     out.attribute("id", &1);
///     out.end_object();
/// })?;
/// assert_eq!(message, br#"{"message":[{"event":"note_created","model_name":"Note","data":[{"id":1}]}]}"#);
/// # Ok::<(), dionysus_core::EncodeError>(())
/// ```
pub fn encode_message_with(
    event: &str,
    model: &str,
    snapshot: impl FnOnce(&mut JsonWriter),
) -> Result<Vec<u8>, EncodeError> {
    let mut out = JsonWriter::with_capacity(4 * ENVELOPE_LEN);
    open(&mut out, event, model);
    snapshot(&mut out);
    close(&mut out);
    out.finish()
}

/// Begins a message; its snapshot follows.
pub(crate) fn open(out: &mut JsonWriter, event: &str, model: &str) {
    out.raw(br#"{"message":[{"event":"#);
    out.string(event);
    out.raw(br#","model_name":"#);
    out.string(model);
    out.raw(br#","data":["#);
}

/// Ends a message.
pub(crate) fn close(out: &mut JsonWriter) {
    out.raw(b"]}]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_holds_one_event_with_one_snapshot() {
        let message =
            encode_message("core_booking_destroyed", "Core::Booking", br#"{"links":{},"id":1}"#);
        assert_eq!(
            String::from_utf8(message).unwrap(),
            r#"{"message":[{"event":"core_booking_destroyed","model_name":"Core::Booking","data":[{"links":{},"id":1}]}]}"#
        );
    }

    #[test]
    fn a_fault_in_the_snapshot_gives_no_message() {
        let result = encode_message_with("a_created", "A", |out| {
            out.begin_object();
            out.attribute("picture", &vec![0xff_u8]);
            out.end_object();
        });
        assert_eq!(result.unwrap_err().attribute, "picture");
    }
}
