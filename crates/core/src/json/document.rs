//! JSON columns: read, and written again by our rules.
//!
//! The text is taken apart level by level rather than parsed into a `Value`, because a `Value` holds integers above 64 bits as floats.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{JsonWriter, number};

/// Containers within containers; Ruby's JSON parser stops at the same depth.
const LEVELS_MAX: usize = 100;

pub(super) fn write_value(out: &mut JsonWriter, value: &Value) {
    match value {
        Value::Null => out.null(),
        Value::Bool(value) => out.boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), ..) => out.integer(integer),
            (_, Some(integer), _) => out.unsigned(integer),
            (.., float) => out.double(float.unwrap_or(f64::NAN)),
        },
        Value::String(text) => out.string(text),
        Value::Array(values) => {
            out.begin_array();
            for value in values {
                out.element();
                write_value(out, value);
            }
            out.end_array();
        }
        Value::Object(members) => {
            out.begin_object();
            for (name, value) in members {
                out.key(name);
                write_value(out, value);
            }
            out.end_object();
        }
    }
}

pub(super) fn write_text(out: &mut JsonWriter, text: &str) {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(document) => write_raw(out, document, 0),
        Err(_) => out.refuse("it is not a JSON document"),
    }
}

pub(super) fn write_raw(out: &mut JsonWriter, document: &RawValue, level: usize) {
    let text = document.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') if level == LEVELS_MAX => out.refuse("its JSON is nested too deeply"),
        Some(b'{') => write_object(out, text, level),
        Some(b'[') => write_array(out, text, level),
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(text) => out.string(&text),
            Err(_) => out.refuse("a string in its JSON is not Unicode"),
        },
        Some(b'n' | b't' | b'f') => out.raw(text.as_bytes()),
        _ if !number::is_integer(text) => out.double(text.parse().unwrap_or(f64::NAN)),
        _ if text == "-0" => out.raw(b"0"),
        _ => out.raw(text.as_bytes()),
    }
}

fn write_array(out: &mut JsonWriter, text: &str, level: usize) {
    let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return out.refuse("it is not a JSON document");
    };
    out.begin_array();
    for value in values {
        out.element();
        write_raw(out, value, level + 1);
    }
    out.end_array();
}

fn write_object(out: &mut JsonWriter, text: &str, level: usize) {
    let members = serde_json::Deserializer::from_str(text).deserialize_map(Members);
    let Ok(members) = members else {
        return out.refuse("a key in its JSON is not Unicode");
    };
    out.begin_object();
    for (name, value) in members {
        out.key(&name);
        write_raw(out, value, level + 1);
    }
    out.end_object();
}

/// Collects members in order: of a name that comes twice, the first place and the last value, as in a Ruby hash.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if let Some(&place) = places.get(&name) {
                members[place].1 = value;
            } else {
                places.insert(name.clone(), members.len());
                members.push((name, value));
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &str) -> String {
        let mut out = JsonWriter::new();
        out.document(text);
        String::from_utf8(out.finish().unwrap()).unwrap()
    }

    fn from_value(text: &str) -> String {
        let mut out = JsonWriter::new();
        out.value(&serde_json::from_str(text).unwrap());
        String::from_utf8(out.finish().unwrap()).unwrap()
    }

    #[test]
    fn a_document_keeps_its_order_and_gets_our_numbers_and_escapes() {
        for (text, written) in [
            (
                r#"{"z": 1, "a": [1, 2.50, "x"], "a2": {"k": null}, "big": 12345678901234567890, "f": 1.0, "e": 1e3}"#,
                r#"{"z":1,"a":[1,2.5,"x"],"a2":{"k":null},"big":12345678901234567890,"f":1.0,"e":1000.0}"#,
            ),
            (
                r#"{"<k>&\u2028": "</script> \u00e9 \ud83d\ude00"}"#,
                r#"{"\u003ck\u003e\u0026\u2028":"\u003c/script\u003e é 😀"}"#,
            ),
            (r#"{"big": 12345678901234567890.12}"#, r#"{"big":1.2345678901234567e+19}"#),
            (r#""text <b>""#, r#""text \u003cb\u003e""#),
            (r#"{"a": 1, "b": 2, "a": 3}"#, r#"{"a":3,"b":2}"#),
            (" [ ] ", "[]"),
            ("{}", "{}"),
            ("null", "null"),
            ("true", "true"),
        ] {
            assert_eq!(from_text(text), written);
            assert_eq!(from_value(text), written);
        }
    }

    #[test]
    fn integers_in_text_stay_exact_at_any_size() {
        assert_eq!(
            from_text("[123456789012345678901234567890, -0, -0.0]"),
            "[123456789012345678901234567890,0,-0.0]"
        );
    }

    #[test]
    fn a_number_beyond_doubles_is_null() {
        assert_eq!(from_text("[1e400, -1e400]"), "[null,null]");
    }

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn a_hundred_levels_are_written() {
        assert_eq!(from_text(&nested(100)), nested(100));
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_refused() {
        for text in ["", "{", "[1,]", "\"\\ud800\"", &nested(101)] {
            let mut out = JsonWriter::new();
            out.document(text);
            assert!(out.finish().is_err(), "{text}");
        }
    }
}
