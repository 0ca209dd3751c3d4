//! Rows that a trigger captured: columns as Postgres's own text, written here by the one encoder.
//!
//! # Why text
//! A trigger knows a row and nothing of the encoder. It stores what every column type has, a text, under settings that are pinned on its function
//! (`DateStyle`, `IntervalStyle`, `TimeZone` and the like), together with the type's name. From the two the encoder makes the bytes that a typed struct
//! read from the same row has (held by `crates/dionysus/tests/captured`), at the moment of publishing: the only place where a relay looks into a row.
//!
//! # The form
//! ```json
//! {"format": 1, "event": "rental_updated", "model": "Rental",
//!  "attributes": [["id", "bigint", "1"], ["price", "numeric(12,2)", null]],
//!  "links": [["account", "bigint", "7", null, null], ["bookable", "bigint", "5", "text", "Room"]]}
//! ```
//! An attribute is its name, the type as `format_type` prints it, and its text or null; a link has the same of its id, then, when it is
//! polymorphic, type and text of the column that names the model. What is left of a row that was deleted is its id: `"id": ["id", "bigint", "1"]` in
//! place of attributes and links. It says all that is needed, so that a row can be written after its table or its topology has changed.
//!
//! # What is refused
//! What a typed struct can't read or write, the same way: bytes that are not UTF-8, a range without its lower bound, a year that chrono does not
//! know. Types that the gem writes as text (`uuid`, `macaddr`, `xml`, `bit`, enums, whatever has no rule of its own) are written as text.

mod array;
mod column_type;
mod document;
mod range;
mod time;
mod value;

use std::mem;

use crate::JsonWriter;
use crate::envelope::{close, open};
use document::{Captured, Column, Content, Link};

/// Why a captured row has no message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// It was written in a form of the future.
    #[error("the row was captured in format {found}, this program knows {}", document::FORMAT)]
    Format {
        /// The format.
        found: u64,
    },
    /// It is not of the form that triggers of ours write.
    #[error("the row's capture is not of the form that a trigger of ours writes")]
    Malformed,
    /// A value has no form on the wire.
    #[error("the attribute `{attribute}` of type `{type_name}` cannot be written: {reason}")]
    Value {
        /// The attribute, or the link.
        attribute: String,
        /// The type of its column.
        type_name: String,
        /// What is wrong, without the value itself.
        reason: &'static str,
    },
}

impl CaptureError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Format { .. } => "upgrade this program to the version that generated the trigger".into(),
            Self::Malformed => {
                "generate the trigger anew with `dionysus capture sql`; rows are for it alone to write".into()
            }
            Self::Value { .. } => "correct the value in its table, which brings a row of its own, and let go of this one with `dionysus quarantine skip`; or leave the attribute out with `#[publishable(skip)]` and generate the trigger anew with `dionysus capture sql`".into(),
        })
    }
}

/// Writes the message of a captured row, envelope included, over what `message` held. Its room is used again.
///
/// # Errors
/// [`CaptureError`]; `message` then holds nothing of use.
///
/// # Examples
/// ```
/// use dionysus_core::encode_captured;
///
/// let capture = r#"{"format": 1, "event": "note_created", "model": "Note", "links": [],
///     "attributes": [["id", "bigint", "1"], ["price", "numeric(12,2)", "10.50"]]}"#;
/// let mut message = Vec::new();
/// encode_captured(capture, &mut message)?;
/// let expected = br#"{"message":[{"event":"note_created","model_name":"Note","data":[{"id":1,"price":"10.5","links":{}}]}]}"#;
/// assert_eq!(message, expected);
/// # Ok::<(), dionysus_core::CaptureError>(())
/// ```
pub fn encode_captured(capture: &str, message: &mut Vec<u8>) -> Result<(), CaptureError> {
    message.clear();
    let mut out = JsonWriter::appending_to(mem::take(message));
    let written = document::read(capture).and_then(|captured| write(&captured, &mut out));
    *message = out.into_bytes();
    written
}

fn write(captured: &Captured<'_>, out: &mut JsonWriter) -> Result<(), CaptureError> {
    let content = captured.content()?;
    open(out, &captured.event, &captured.model);
    out.begin_object();
    match content {
        Content::Snapshot { attributes, links } => {
            for attribute in attributes {
                write_column(attribute, out)?;
            }
            out.key("links");
            out.begin_object();
            for link in links {
                write_link(link, out)?;
            }
            out.end_object();
        }
        Content::Destroyed { id } => {
            out.key("links");
            out.begin_object();
            out.end_object();
            write_column(id, out)?;
        }
    }
    out.end_object();
    close(out);
    Ok(())
}

fn write_column(column: &Column<'_>, out: &mut JsonWriter) -> Result<(), CaptureError> {
    out.member(&column.name, |out| value::write(&column.type_name, column.text.as_deref(), out));
    sound(out, &column.name, &column.type_name)
}

/// Without an id there is no link, whatever the type says.
fn write_link(link: &Link<'_>, out: &mut JsonWriter) -> Result<(), CaptureError> {
    let write_id = |out: &mut JsonWriter| value::write(&link.id_type, link.id.as_deref(), out);
    match &link.model_type {
        Some(model_type) if link.id.is_some() => {
            out.key(&link.name);
            out.begin_object();
            out.member("type", |out| value::write(model_type, link.model.as_deref(), out));
            sound(out, &link.name, model_type)?;
            out.member("id", write_id);
            out.end_object();
        }
        _ => out.member(&link.name, write_id),
    }
    sound(out, &link.name, &link.id_type)
}

fn sound(out: &JsonWriter, name: &str, type_name: &str) -> Result<(), CaptureError> {
    match out.fault() {
        None => Ok(()),
        Some(fault) => Err(CaptureError::Value {
            attribute: name.to_owned(),
            type_name: type_name.to_owned(),
            reason: fault.reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(capture: &str) -> Result<String, CaptureError> {
        let mut message = b"what was there before".to_vec();
        encode_captured(capture, &mut message)?;
        Ok(String::from_utf8(message).unwrap())
    }

    fn snapshot(attributes: &str, links: &str) -> Result<String, CaptureError> {
        encoded(&format!(
            r#"{{"links": [{links}], "event": "a_updated", "model": "Core::A", "format": 1, "attributes": [{attributes}]}}"#
        ))
    }

    #[test]
    fn attributes_and_links_are_written_in_their_order() {
        let written = snapshot(
            r#"["id", "bigint", "1"], ["<n>", "text", "a \"b\" <c>"], ["gone", "json", null]"#,
            r#"["account", "uuid", "a81f3c52-0000-4000-8000-00000000000a", null, null], ["none", "bigint", null, null, null],
               ["bookable", "bigint", "77", "text", "Rental"], ["typeless", "bigint", "7", "text", null], ["idless", "bigint", null, "text", "Rental"]"#,
        );
        assert_eq!(
            written.unwrap(),
            concat!(
                r#"{"message":[{"event":"a_updated","model_name":"Core::A","data":[{"id":1,"\u003cn\u003e":"a \"b\" \u003cc\u003e","gone":null,"#,
                r#""links":{"account":"a81f3c52-0000-4000-8000-00000000000a","none":null,"bookable":{"type":"Rental","id":77},"#,
                r#""typeless":{"type":null,"id":7},"idless":null}}]}]}"#
            )
        );
    }

    #[test]
    fn what_is_left_of_a_deleted_row_is_its_id() {
        let capture = r#"{"format": 1, "event": "country_destroyed", "model": "Country", "id": ["code", "text", "PL/ł"]}"#;
        assert_eq!(
            encoded(capture).unwrap(),
            r#"{"message":[{"event":"country_destroyed","model_name":"Country","data":[{"links":{},"code":"PL/ł"}]}]}"#
        );
    }

    #[test]
    fn a_value_that_cannot_be_written_is_named_with_its_type() {
        let refused = |attribute: &str, type_name: &str, reason| {
            let (attribute, type_name) = (attribute.to_owned(), type_name.to_owned());
            Err(CaptureError::Value { attribute, type_name, reason })
        };
        assert_eq!(
            snapshot(
                r#"["id", "bigint", "1"], ["picture", "bytea", "\\xff"], ["later", "bytea", "\\xfe"]"#,
                ""
            ),
            refused("picture", "bytea", "its bytes are not UTF-8")
        );
        let integer = "it is not the text of an integer";
        assert_eq!(
            snapshot("", r#"["a", "bigint", "x", null, null]"#),
            refused("a", "bigint", integer)
        );
        assert_eq!(
            snapshot("", r#"["b", "bigint", "x", "text", "A"]"#),
            refused("b", "bigint", integer)
        );
        let error = snapshot(r#"["secret", "bigint", "hunter2"]"#, "").unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", error.remedy()).contains("hunter2"));
    }

    #[test]
    fn what_no_trigger_of_ours_wrote_is_refused() {
        assert_eq!(encoded(r#"{"format": 2, "rows": 3}"#), Err(CaptureError::Format { found: 2 }));
        for capture in [
            "",
            "[]",
            "{}",
            r#"{"format": 1}"#,
            r#"{"format": 1, "event": "a_updated", "model": "A"}"#,
            r#"{"format": 1, "event": "a_updated", "model": "A", "attributes": []}"#,
            r#"{"format": 1, "event": "a_updated", "model": "A", "attributes": [["id", 1, "1"]], "links": []}"#,
            r#"{"format": 1, "event": "a_updated", "model": "A", "attributes": [], "links": [["a", "bigint", "1"]]}"#,
        ] {
            assert_eq!(encoded(capture), Err(CaptureError::Malformed), "{capture}");
        }
    }
}
