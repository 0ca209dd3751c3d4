//! From a Kafka record to canonical records, strictly and without copying values.
//!
//! Values stay the JSON text they came as, borrowed from the payload: a number keeps all its digits, `2.50` stays `2.50`, and what no
//! column asks for is never turned into anything. Postgres reads them in the end.
//!
//! The gem's rules (spec §7.3, §7.7 and §3.8 rule 17) say what is no event (an empty value, `null`, `{"message":null}`, `"data":null`) and what is
//! malformed (any other shape); malformed messages are errors, never skipped.

mod canonical;
mod envelope;
mod malformed;
mod object;
mod singular;

use dionysus_core::{AsOf, Version, headers};
use dionysus_kafka::Record;

pub(crate) use canonical::{Attributes, Canonical, text};
pub(crate) use envelope::Event;
pub use malformed::Malformed;

/// The largest value that is decoded; a topic would have to allow it first.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;

/// What orders a message among those of its key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Order {
    /// The gem's: only times can tell.
    Unversioned,
    /// Ours.
    Versioned(Version, AsOf),
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) order: Order,
    pub(crate) events: Vec<Event<'a>>,
}

/// Decodes a record.
pub(crate) fn decode(record: &Record) -> Result<Message<'_>, Malformed> {
    let order = order(record)?;
    let payload = record.payload.as_deref().unwrap_or_default();
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Malformed::TooLarge { bytes: payload.len(), limit: PAYLOAD_BYTES_MAX });
    }
    Ok(Message { order, events: envelope::events(payload)? })
}

fn order(record: &Record) -> Result<Order, Malformed> {
    let version = number(record, headers::VERSION)?;
    let as_of = number(record, headers::AS_OF)?;
    match (version, as_of) {
        (None, Some(_)) => Err(Malformed::Header { name: headers::AS_OF }),
        // Below everything that a row or a genesis run may carry: it orders nothing.
        (None, None) | (Some(0), None | Some(0)) => Ok(Order::Unversioned),
        (Some(version), as_of) => Ok(Order::Versioned(Version(version), AsOf(as_of.unwrap_or(0)))),
    }
}

fn number(record: &Record, name: &'static str) -> Result<Option<i64>, Malformed> {
    let Some(value) = record.header(name) else { return Ok(None) };
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse::<i64>().ok())
        .filter(|number| *number >= 0)
        .map(Some)
        .ok_or(Malformed::Header { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: Option<&str>, headers: &[(&str, &str)]) -> Record {
        Record {
            offset: 7,
            timestamp_ms: None,
            key: None,
            payload: payload.map(|text| text.as_bytes().to_vec()),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
        }
    }

    #[test]
    fn what_holds_no_event_is_accepted() {
        for payload in [
            None,
            Some(""),
            Some("  "),
            Some("null"),
            Some("{}"),
            Some(r#"{"message":null}"#),
            Some(r#"{"message":[]}"#),
            Some(r#"{"v":2,"message":[],"more":{"x":[1]}}"#),
        ] {
            let record = record(payload, &[]);
            assert!(decode(&record).unwrap().events.is_empty(), "{payload:?}");
        }
    }

    #[test]
    fn data_may_be_one_object_or_nothing() {
        for (data, records) in [
            (r#","data":[{"id":1,"name":"a"},{"id":2}]"#, 2),
            (r#","data":{"id":1,"name":"a"}"#, 1),
            (r#","data":[]"#, 0),
            (r#","data":null"#, 0),
            ("", 0),
        ] {
            let event = format!(r#"{{"event":"rental_created","model_name":"Rental"{data}}}"#);
            let record = record(Some(&format!(r#"{{"message":[{event}]}}"#)), &[]);
            let message = decode(&record).unwrap();
            assert_eq!(message.events.len(), 1, "{data}");
            assert_eq!(message.events[0].records.len(), records, "{data}");
        }
    }

    #[test]
    fn every_other_shape_is_malformed() {
        for payload in [
            "{",
            "[]",
            "1",
            r#""text""#,
            r#"[["x"]]"#,
            r#"{"message":{"event":"rental_created"}}"#,
            r#"{"message":"x"}"#,
            r#"{"message":[null]}"#,
            r#"{"message":[["rental_created","Rental",[]]]}"#,
            r#"{"message":[{"model_name":"Rental","data":[]}]}"#,
            r#"{"message":[{"event":"rental_created","data":[]}]}"#,
            r#"{"message":[{"event":1,"model_name":"Rental","data":[]}]}"#,
            r#"{"message":[{"event":"rental_created","model_name":"Rental","data":1}]}"#,
            r#"{"message":[{"event":"rental_created","model_name":"Rental","data":[1]}]}"#,
            r#"{"message":[{"event":"rental_created","model_name":"Rental","data":[null]}]}"#,
            r#"{"message":[{"event":"rental_created","model_name":"Rental","data":[{"id":1,"links":[]}]}]}"#,
            r#"{"message":[{"event":"rental_created","model_name":"Rental","data":[{"id":1,"links":{"fees":[1]},"fees":{}}]}]}"#,
            r#"{"message":[]} trailing"#,
        ] {
            let record = record(Some(payload), &[]);
            assert!(decode(&record).is_err(), "{payload}");
        }
        let mut not_text = record(Some(""), &[]);
        not_text.payload = Some(vec![b'{', 0xff, b'}']);
        assert!(decode(&not_text).is_err());
    }

    #[test]
    fn the_headers_order_a_message() {
        let order =
            |headers: &[(&str, &str)]| decode(&record(None, headers)).map(|message| message.order);
        let versioned = |version, as_of| Order::Versioned(Version(version), AsOf(as_of));
        assert_eq!(order(&[]).unwrap(), Order::Unversioned);
        assert_eq!(order(&[("dionysus-version", "5")]).unwrap(), versioned(5, 0));
        assert_eq!(
            order(&[("dionysus-version", "0"), ("dionysus-as-of", "7")]).unwrap(),
            versioned(0, 7)
        );
        assert_eq!(order(&[("dionysus-version", "0")]).unwrap(), Order::Unversioned);
        for wrong in ["", "-1", "5.0", "x", "9223372036854775808"] {
            assert!(order(&[("dionysus-version", wrong)]).is_err(), "{wrong:?}");
        }
        assert!(order(&[("dionysus-as-of", "7")]).is_err());
    }

    #[test]
    fn sideloads_nest_to_a_bound() {
        let nested = |levels: usize| {
            let mut data = r#"{"id":1}"#.to_owned();
            for _ in 0..levels {
                data = format!(r#"{{"id":1,"links":{{"fee":1}},"fee":{data}}}"#);
            }
            format!(
                r#"{{"message":[{{"event":"fee_created","model_name":"Fee","data":[{data}]}}]}}"#
            )
        };
        assert!(decode(&record(Some(&nested(canonical::DEPTH_MAX)), &[])).is_ok());
        let record = record(Some(&nested(canonical::DEPTH_MAX + 1)), &[]);
        assert!(matches!(decode(&record), Err(Malformed::TooDeep { .. })));
    }
}
