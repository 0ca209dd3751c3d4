//! Which Rust types can be attributes, and how each is written.

mod containers;

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{JsonWriter, document};
use crate::Schema;

/// A type whose values can be attributes of a snapshot.
///
/// Implemented for integers, floats, `bool`, strings, `Option`, `Vec` and slices, `BTreeMap<String, _>`, chrono's times and dates, `Uuid`,
/// `serde_json::Value` and `RawValue`, `Vec<u8>` (its text), and `Box`, `Arc`, `Rc`, `Cow<str>` and references of these; for the other column
/// types of Postgres by [`types`](crate::types). An enum or a newtype of yours becomes one by `#[derive(Attribute)]`.
///
/// For a type of your own write one value with the method that fits its column:
///
/// ```
/// use dionysus_core::{Attribute, JsonWriter, Schema};
///
/// enum Mood { Sad, Happy }
///
/// impl Attribute for Mood {
///     fn write(&self, out: &mut JsonWriter) {
///         out.string(match self { Mood::Sad => "sad", Mood::Happy => "happy" });
///     }
///
///     fn schema() -> Schema {
///         Schema::labels(["sad", "happy"])
///     }
/// }
///
/// struct Price { cents: i64 }
///
/// impl Attribute for Price {
///     fn write(&self, out: &mut JsonWriter) {
///         out.decimal(&format!("{}.{:02}", self.cents / 100, self.cents % 100));
///     }
///
///     fn schema() -> Schema {
///         Schema::decimal()
///     }
/// }
/// ```
///
/// # Contract
/// `write` writes exactly one JSON value, the same one each time it is called on the same value, and one that `schema` allows.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an attribute of a snapshot",
    label = "has no form on the wire",
    note = "leave the field out with `#[publishable(skip)]`, or write `impl Attribute for {Self}` with one call on the `JsonWriter`, for example `out.string(..)`; for an enum or a newtype `#[derive(Attribute)]` does it",
    note = "for a decimal call `out.decimal(&self.to_string())`; a type of another crate needs a newtype of yours around it; `types` has types for the columns of Postgres"
)]
pub trait Attribute {
    /// Writes the value.
    fn write(&self, out: &mut JsonWriter);

    /// The value as it stands in a Kafka key or a partition key: a string without quotes and escapes, everything else as in JSON.
    /// `None` for null, and for a value that cannot be written.
    fn text(&self) -> Option<String> {
        let mut out = JsonWriter::new();
        self.write(&mut out);
        let json = String::from_utf8(out.finish().ok()?).ok()?;
        match json.as_bytes() {
            b"null" => None,
            [b'"', ..] => serde_json::from_str(&json).ok(),
            _ => Some(json),
        }
    }

    /// What `write` writes, as consumers are told; without it, any JSON value.
    fn schema() -> Schema {
        Schema::any()
    }
}

macro_rules! integers {
    ($method:ident: $($integer:ty),+) => {
        $(impl Attribute for $integer {
            fn write(&self, out: &mut JsonWriter) {
                out.$method((*self).into());
            }

            fn text(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn schema() -> Schema {
                let format = if Self::MIN == 0 { "uint" } else { "int" };
                let format = format!("{format}{}", Self::BITS);
                Schema::integer().format(&format).between(Self::MIN, Self::MAX)
            }
        })+
    };
}

integers!(integer: i8, i16, i32, i64);
integers!(unsigned: u16, u32, u64);

macro_rules! wide_integers {
    ($($integer:ty),+) => {
        $(impl Attribute for $integer {
            fn write(&self, out: &mut JsonWriter) {
                out.displayed(self);
            }

            fn text(&self) -> Option<String> {
                Some(self.to_string())
            }

            fn schema() -> Schema {
                Schema::integer()
            }
        })+
    };
}

wide_integers!(i128, u128, isize, usize);

impl Attribute for f64 {
    fn write(&self, out: &mut JsonWriter) {
        out.double(*self);
    }

    fn schema() -> Schema {
        Schema::number().format("double").nullable()
    }
}

impl Attribute for f32 {
    fn write(&self, out: &mut JsonWriter) {
        out.real(*self);
    }

    fn schema() -> Schema {
        Schema::number().format("float").nullable()
    }
}

impl Attribute for bool {
    fn write(&self, out: &mut JsonWriter) {
        out.boolean(*self);
    }

    fn schema() -> Schema {
        Schema::boolean()
    }
}

impl Attribute for str {
    fn write(&self, out: &mut JsonWriter) {
        out.string(self);
    }

    fn text(&self) -> Option<String> {
        Some(self.into())
    }

    fn schema() -> Schema {
        Schema::string()
    }
}

impl Attribute for String {
    fn write(&self, out: &mut JsonWriter) {
        out.string(self);
    }

    fn text(&self) -> Option<String> {
        Some(self.clone())
    }

    fn schema() -> Schema {
        Schema::string()
    }
}

impl Attribute for Cow<'_, str> {
    fn write(&self, out: &mut JsonWriter) {
        out.string(self);
    }

    fn text(&self) -> Option<String> {
        Some(self.as_ref().into())
    }

    fn schema() -> Schema {
        Schema::string()
    }
}

impl Attribute for Uuid {
    fn write(&self, out: &mut JsonWriter) {
        out.string(self.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn schema() -> Schema {
        Schema::uuid()
    }
}

/// In UTC, whatever zone the value is in.
impl<Tz: TimeZone> Attribute for DateTime<Tz> {
    fn write(&self, out: &mut JsonWriter) {
        out.timestamp(self.naive_utc());
    }

    fn schema() -> Schema {
        Schema::timestamp()
    }
}

/// Taken as UTC.
impl Attribute for NaiveDateTime {
    fn write(&self, out: &mut JsonWriter) {
        out.timestamp(*self);
    }

    fn schema() -> Schema {
        Schema::timestamp()
    }
}

impl Attribute for NaiveDate {
    fn write(&self, out: &mut JsonWriter) {
        out.date(*self);
    }

    fn schema() -> Schema {
        Schema::date()
    }
}

impl Attribute for NaiveTime {
    fn write(&self, out: &mut JsonWriter) {
        out.time(*self);
    }

    fn schema() -> Schema {
        Schema::time()
    }
}

impl Attribute for Value {
    fn write(&self, out: &mut JsonWriter) {
        out.value(self);
    }
}

/// Unlike a [`Value`], it keeps integers above 64 bits exact.
impl Attribute for RawValue {
    fn write(&self, out: &mut JsonWriter) {
        document::write_raw(out, self, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use chrono::{FixedOffset, Utc};

    use super::*;

    fn written<T: Attribute + ?Sized>(value: &T) -> String {
        let mut out = JsonWriter::new();
        value.write(&mut out);
        String::from_utf8(out.finish().unwrap()).unwrap()
    }

    #[test]
    fn each_type_is_written_by_its_rule() {
        assert_eq!(written(&-3_i16), "-3");
        assert_eq!(written(&u64::MAX), "18446744073709551615");
        assert_eq!(written(&i128::MIN), "-170141183460469231731687303715884105728");
        assert_eq!(written(&1.0), "1.0");
        assert_eq!(written(&0.1_f32), "0.1");
        assert_eq!(written(&false), "false");
        assert_eq!(written("a&b"), r#""a\u0026b""#);
        assert_eq!(written(&Cow::Borrowed("x")), "\"x\"");
        assert_eq!(written(&None::<f64>), "null");
        assert_eq!(written(&vec![Some("a"), None]), r#"["a",null]"#);
        assert_eq!(written(&vec![vec![1], vec![2, 3]]), "[[1],[2,3]]");
        assert_eq!(written(&vec![0xc3_u8, 0xb3]), "\"ó\"");
        assert_eq!(written(&Vec::<u8>::new()), "\"\"");
        assert_eq!(written(&BTreeMap::from([("<".to_owned(), 1.5)])), r#"{"\u003c":1.5}"#);
        assert_eq!(written(&serde_json::json!({"b": 1e3, "a": 2})), r#"{"b":1000.0,"a":2}"#);
        assert_eq!(written(&Arc::new(Box::new(7))), "7");
        let id: Uuid = "A81F3C52-0000-4000-8000-00000000000A".parse().unwrap();
        assert_eq!(written(&id), "\"a81f3c52-0000-4000-8000-00000000000a\"");
        let raw: Box<RawValue> =
            serde_json::from_str("[2.50, 123456789012345678901234567890]").unwrap();
        assert_eq!(written(&raw), "[2.5,123456789012345678901234567890]");
    }

    #[test]
    fn times_of_any_zone_are_written_in_utc() {
        let utc: DateTime<Utc> = "2022-08-22T08:01:47.999999+02:00".parse().unwrap();
        assert_eq!(written(&utc), "\"2022-08-22T06:01:47.999Z\"");
        let paris = utc.with_timezone(&FixedOffset::east_opt(7200).unwrap());
        assert_eq!(written(&paris), "\"2022-08-22T06:01:47.999Z\"");
        assert_eq!(written(&utc.naive_utc()), "\"2022-08-22T06:01:47.999Z\"");
    }

    #[test]
    fn text_has_no_quotes_and_null_has_no_text() {
        assert_eq!(42_i64.text().as_deref(), Some("42"));
        assert_eq!("PL/ł \"x\"".text().as_deref(), Some("PL/ł \"x\""));
        assert_eq!(Some("eu-west".to_owned()).text().as_deref(), Some("eu-west"));
        assert_eq!(None::<String>.text(), None);
        assert_eq!(true.text().as_deref(), Some("true"));
        assert_eq!(f64::NAN.text(), None);
        assert_eq!(serde_json::json!("a\nb").text().as_deref(), Some("a\nb"));
        assert_eq!(Uuid::nil().text().as_deref(), Some("00000000-0000-0000-0000-000000000000"));
        assert_eq!(
            NaiveDate::from_ymd_opt(2022, 8, 22).unwrap().text().as_deref(),
            Some("2022-08-22")
        );
    }
}
