//! What chooses the partition of an instance (spec §3.4).
//!
//! The order: the topic's own (attribute or closure), the model's (`#[publishable(partition_key = "..")]`), the topology's default,
//! which is used only by models that have the attribute. Values are taken as they are. The gem makes integers of
//! them, so that every UUID becomes `0` and lands on one partition; where Ruby writers share the topic, instances must stay where
//! they are, and [`TopologyBuilder::integer_partition_keys`](super::TopologyBuilder::integer_partition_keys) does the same.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use serde_json::json;

use crate::instance::Instance;
use crate::{AttributeInfo, Publishable};

/// How one topic finds the partition key of one model.
#[derive(Clone)]
pub(crate) enum PartitionKey {
    /// None: Kafka's partition follows from the message's key.
    Absent,
    /// An attribute's text.
    Attribute(String),
    /// An attribute's text made an integer as Ruby's `to_i` does.
    Integer(String, IntegerOf),
    /// Computed by the application.
    Computed(Compute),
}

/// A closure over one model's type, erased.
pub(crate) type Compute = Arc<dyn Fn(&dyn Any) -> Option<String> + Send + Sync>;

/// What Ruby's `to_i` does depends on the type of the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IntegerOf {
    /// A string: the digits that it begins with.
    Text,
    /// Anything else, told by the form of its text on the wire.
    Value,
}

/// The attribute has no integer form.
#[derive(Debug, PartialEq)]
pub(crate) struct NotAnInteger;

impl PartitionKey {
    /// Erases the type of a closure.
    pub(super) fn computed<M, F>(compute: F) -> Compute
    where
        M: Publishable + 'static,
        F: Fn(&M) -> Option<String> + Send + Sync + 'static,
    {
        Arc::new(move |instance| instance.downcast_ref::<M>().and_then(&compute))
    }

    /// The key of one instance.
    pub(crate) fn of(&self, instance: &dyn Instance) -> Result<Option<String>, NotAnInteger> {
        match self {
            Self::Absent => Ok(None),
            Self::Computed(compute) => Ok(compute(instance.as_any())),
            Self::Attribute(attribute) => Ok(instance.text_of(attribute).flatten()),
            Self::Integer(attribute, of) => match instance.text_of(attribute) {
                None => Ok(None),
                Some(None) => Ok(Some("0".to_owned())),
                Some(Some(text)) => of.integer(&text).map(Some).ok_or(NotAnInteger),
            },
        }
    }

    /// The attribute's name, if it is one.
    pub(crate) fn attribute(&self) -> Option<&str> {
        match self {
            Self::Attribute(attribute) | Self::Integer(attribute, _) => Some(attribute),
            Self::Absent | Self::Computed(_) => None,
        }
    }

    /// What a relay or the command line needs to know: a computed key exists only within the application.
    pub(super) fn registration(&self) -> serde_json::Value {
        match self {
            Self::Absent => serde_json::Value::Null,
            Self::Attribute(attribute) => json!({ "attribute": attribute, "integer": false }),
            Self::Integer(attribute, _) => json!({ "attribute": attribute, "integer": true }),
            Self::Computed(_) => json!({ "computed": true }),
        }
    }
}

impl fmt::Debug for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Attribute(attribute) => f.debug_tuple("Attribute").field(attribute).finish(),
            Self::Integer(attribute, of) => {
                f.debug_tuple("Integer").field(attribute).field(of).finish()
            }
            Self::Computed(_) => f.write_str("Computed"),
        }
    }
}

impl IntegerOf {
    /// A type under another name is taken for a value, which differs from a string only for the forms below.
    pub(super) fn of(attribute: &AttributeInfo) -> Self {
        let mut words = attribute.type_name.split(|c: char| !c.is_alphanumeric());
        if words.any(|word| matches!(word, "String" | "str")) { Self::Text } else { Self::Value }
    }

    fn integer(self, text: &str) -> Option<String> {
        if self == Self::Text {
            return Some(leading_integer(text));
        }
        let signed = with_signed_year(text);
        if let Ok(time) = NaiveDateTime::parse_from_str(&signed, "%Y-%m-%dT%H:%M:%S%.fZ") {
            return Some(time.and_utc().timestamp().to_string());
        }
        // `true.to_i` and `Date#to_i` do not exist: the gem raises.
        if matches!(text, "true" | "false")
            || NaiveDate::parse_from_str(&signed, "%Y-%m-%d").is_ok()
        {
            return None;
        }
        let scientific = text.contains("e+") || text.contains("e-");
        match text.parse() {
            Ok(value) if scientific => Some(truncated(value)),
            // A UUID may hold `e-` too.
            _ => Some(leading_integer(text)),
        }
    }
}

/// chrono reads a year of more than four digits only with a sign before it.
fn with_signed_year(text: &str) -> Cow<'_, str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 4 { format!("+{text}").into() } else { text.into() }
}

/// Ruby's `String#to_i`: white space, a sign, digits with single underscores between them; whatever follows is ignored.
fn leading_integer(text: &str) -> String {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let mut digits = String::new();
    let mut between = false;
    for c in rest.chars() {
        match c {
            '0'..='9' => {
                digits.push(c);
                between = true;
            }
            '_' if between => between = false,
            _ => break,
        }
    }
    signed(sign, &digits)
}

fn signed(sign: &str, digits: &str) -> String {
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{sign}{digits}"),
    }
}

fn truncated(value: f64) -> String {
    let whole = format!("{:.0}", value.trunc());
    match whole.strip_prefix('-') {
        Some(digits) => signed("-", digits),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use dionysus_core::{Schema, SchemaOf};

    use super::*;

    #[test]
    fn integers_are_those_of_ruby() {
        for (text, integer) in [
            ("42", "42"),
            ("-3.99", "-3"),
            ("12.7", "12"),
            (" 5", "5"),
            ("12ab", "12"),
            ("a81f-", "0"),
            ("-0.5", "0"),
            ("+7", "7"),
            ("007", "7"),
            ("1_000", "1000"),
            ("1__2", "1"),
            ("_1", "0"),
            ("", "0"),
            ("922337203685477580700", "922337203685477580700"),
        ] {
            assert_eq!(IntegerOf::Text.integer(text).as_deref(), Some(integer), "{text:?}");
        }
    }

    #[test]
    fn values_that_are_no_strings_are_told_by_their_form() {
        for (text, integer) in [
            ("42", "42"),
            ("1.0e+20", "100000000000000000000"),
            ("1.0e-05", "0"),
            ("-0.5", "0"),
            ("-3.99", "-3"),
            ("2024-01-15T10:00:00.000Z", "1705312800"),
            ("1969-12-31T23:59:59.500Z", "-1"),
            ("10000-01-01T00:00:00.000Z", "253402300800"),
            ("-0043-03-15T12:00:00.000Z", "-63517780800"),
            ("12ab3456-0000-4000-8000-00000000000a", "12"),
            ("1234567e-0000-4000-8000-00000000000a", "1234567"),
            ("00000000-0000-400e-8000-00000000000a", "0"),
            ("12345678901234567890.5", "12345678901234567890"),
        ] {
            assert_eq!(IntegerOf::Value.integer(text).as_deref(), Some(integer), "{text:?}");
        }
        assert_eq!(IntegerOf::Text.integer("2024-01-15T10:00:00.000Z").as_deref(), Some("2024"));
        assert_eq!(IntegerOf::Text.integer("true").as_deref(), Some("0"));
    }

    #[test]
    fn what_ruby_can_not_make_an_integer_is_refused() {
        for text in ["true", "false", "2024-01-15", "10000-01-01", "-0043-03-15"] {
            assert_eq!(IntegerOf::Value.integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_string_is_known_by_its_type() {
        let of = |type_name| {
            let schema = SchemaOf(Schema::any);
            IntegerOf::of(&AttributeInfo {
                name: "a",
                column: "a",
                type_name,
                hidden: false,
                schema,
            })
        };
        assert_eq!(of("Option<String>"), IntegerOf::Text);
        assert_eq!(of("Cow<'static,str>"), IntegerOf::Text);
        assert_eq!(of("Option<DateTime<Utc>>"), IntegerOf::Value);
    }
}
