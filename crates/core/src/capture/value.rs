//! One value: from Postgres's text to the encoder's rule for its type.

use std::net::IpAddr;
use std::str::FromStr;

use super::column_type::{Bounds, ColumnType, Scalar};
use super::time::{self, When};
use super::{array, range};
use crate::types::{Numeric, WholeNumeric};
use crate::{Attribute, JsonWriter};

const MALFORMED: &str = "its text is not that of its type";
const NO_TIME: &str = "it is not a time that can be written";
const INFINITE_BOUND: &str = "its range has an infinite bound, which has no form on the wire";

/// Writes the value of a column. What can't be written leaves a fault.
pub(super) fn write(type_name: &str, text: Option<&str>, out: &mut JsonWriter) {
    let Some(text) = text else {
        return out.null();
    };
    match ColumnType::of(type_name) {
        ColumnType::One(scalar) => write_scalar(scalar, text, out),
        ColumnType::Array(scalar, separator) => {
            array::write(text, separator, out, &|element, out| write_scalar(scalar, element, out));
        }
    }
}

fn write_scalar(scalar: Scalar, text: &str, out: &mut JsonWriter) {
    match scalar {
        Scalar::Integer => out.integer_text(text),
        Scalar::WholeNumeric => write_read(text.parse::<WholeNumeric>().ok(), out, MALFORMED),
        Scalar::Decimal => out.decimal(text),
        Scalar::Real => write_read(text.parse::<f32>().ok(), out, MALFORMED),
        Scalar::Double => write_read(text.parse::<f64>().ok(), out, MALFORMED),
        Scalar::Boolean => match text {
            "true" | "t" => out.boolean(true),
            "false" | "f" => out.boolean(false),
            _ => out.refuse(MALFORMED),
        },
        Scalar::Text => out.string(text),
        Scalar::Bytes => match hex(text) {
            Some(bytes) => out.bytes(&bytes),
            None => out.refuse(MALFORMED),
        },
        Scalar::Json => out.document(text),
        Scalar::Date => write_when(time::date(text), out),
        Scalar::Timestamp => write_when(time::timestamp(text), out),
        Scalar::Time => write_read(time::clock(text), out, NO_TIME),
        Scalar::TimeWithZone => match time::clock_with_zone(text) {
            Some((time, offset)) => out.time_with_zone(time, offset),
            None => out.refuse(NO_TIME),
        },
        Scalar::Interval => match time::interval(text) {
            Some((months, days, microseconds)) => out.interval(months, days, microseconds),
            None => out.refuse(MALFORMED),
        },
        Scalar::Network => match network(text) {
            Some((address, prefix)) => out.network(address, prefix),
            None => out.refuse(MALFORMED),
        },
        Scalar::Point => match point(text) {
            Some((x, y)) => out.point(x, y),
            None => out.refuse(MALFORMED),
        },
        Scalar::Range(Bounds::Integer) => range::write(text, out, parsed::<i64>),
        Scalar::Range(Bounds::Decimal) => range::write(text, out, parsed::<Numeric>),
        Scalar::Range(Bounds::Date) => range::write(text, out, |text| finite(time::date(text))),
        Scalar::Range(Bounds::Timestamp) => {
            range::write(text, out, |text| finite(time::timestamp(text)));
        }
    }
}

fn write_read(value: Option<impl Attribute>, out: &mut JsonWriter, otherwise: &'static str) {
    match value {
        Some(value) => value.write(out),
        None => out.refuse(otherwise),
    }
}

fn write_when(value: Option<When<impl Attribute>>, out: &mut JsonWriter) {
    match value {
        Some(When::Finite(value)) => value.write(out),
        Some(When::Infinite) => out.null(),
        None => out.refuse(NO_TIME),
    }
}

fn parsed<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| MALFORMED)
}

fn finite<T>(value: Option<When<T>>) -> Result<T, &'static str> {
    match value {
        Some(When::Finite(value)) => Ok(value),
        Some(When::Infinite) => Err(INFINITE_BOUND),
        None => Err(NO_TIME),
    }
}

/// `\x6162`
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect())?
}

/// `192.168.0.1/24`; a host may come without its prefix.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Some((address, prefix.map_or(Some(whole), |prefix| prefix.parse().ok())?))
}

/// `(1.5,-2)`
fn point(text: &str) -> Option<(f64, f64)> {
    let (x, y) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some((x.parse().ok()?, y.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(type_name: &str, text: &str) -> Result<String, &'static str> {
        let mut out = JsonWriter::new();
        write(type_name, Some(text), &mut out);
        out.finish().map(|json| String::from_utf8(json).unwrap()).map_err(|error| error.reason)
    }

    /// Texts are those that Postgres 15 prints; the recording `08a-types` as a whole is in `crates/dionysus/tests/captured`.
    fn are_written(cases: &[(&str, &str, &str)]) {
        for (type_name, text, json) in cases {
            assert_eq!(written(type_name, text).as_deref(), Ok(*json), "{type_name} {text}");
        }
    }

    #[test]
    fn numbers_texts_and_documents_are_written_by_their_rules() {
        are_written(&[
            ("smallint", "-32768", "-32768"),
            ("integer", "42", "42"),
            ("bigint", "9223372036854775807", "9223372036854775807"),
            ("oid", "4294967295", "4294967295"),
            ("numeric", "10.50", "\"10.5\""),
            ("numeric", "Infinity", "null"),
            ("numeric(12,2)", "100.00", "\"100.0\""),
            (
                "numeric(38,0)",
                "12345678901234567890123456789012345678",
                "12345678901234567890123456789012345678",
            ),
            ("numeric(5,0)", "NaN", "null"),
            ("money", "-0.05", "\"-0.05\""),
            ("real", "3.4028235e+38", "3.4028235e+38"),
            ("real", "0.1", "0.1"),
            ("double precision", "1e+20", "1.0e+20"),
            ("double precision", "-Infinity", "null"),
            ("double precision", "-0", "-0.0"),
            ("boolean", "true", "true"),
            ("boolean", "f", "false"),
            ("text", "<b>", "\"\\u003cb\\u003e\""),
            ("character varying(10)", "", "\"\""),
            ("character(5)", "ab   ", "\"ab   \""),
            ("public.citext", "Ab", "\"Ab\""),
            ("public.mood", "happy", "\"happy\""),
            (
                "uuid",
                "a81f3c52-0000-4000-8000-00000000000a",
                "\"a81f3c52-0000-4000-8000-00000000000a\"",
            ),
            ("json", r#"{"z": 1, "a": [1, 2.50]}"#, r#"{"z":1,"a":[1,2.5]}"#),
            ("jsonb", "null", "null"),
            ("bytea", "\\xC3b3", "\"ó\""),
            ("bytea", "\\x", "\"\""),
            ("inet", "192.168.0.1/24", "\"192.168.0.0\""),
            ("inet", "10.0.0.1", "\"10.0.0.1\""),
            ("cidr", "2001:db8::/32", "\"2001:db8::\""),
            ("macaddr", "08:00:2b:01:02:03", "\"08:00:2b:01:02:03\""),
            ("bit(4)", "0101", "\"0101\""),
            ("bit varying(5)", "", "\"\""),
            ("xml", "<a/>", "\"\\u003ca/\\u003e\""),
            ("public.hstore", "\"a\"=>\"1\"", "\"\\\"a\\\"=\\u003e\\\"1\\\"\""),
        ]);
    }

    #[test]
    fn times_are_written_by_their_rules() {
        are_written(&[
            ("date", "0044-03-15 BC", "\"-0043-03-15\""),
            ("date", "infinity", "null"),
            ("time without time zone", "23:59:59.999999", "\"2000-01-01T23:59:59.999Z\""),
            ("time with time zone", "12:34:56.789123+02", "\"12:34:56.789123+02\""),
            (
                "timestamp without time zone",
                "10000-01-01 00:00:00",
                "\"10000-01-01T00:00:00.000Z\"",
            ),
            (
                "timestamp(3) with time zone",
                "1969-12-31 23:59:59.999+00",
                "\"1969-12-31T23:59:59.999Z\"",
            ),
            ("timestamp with time zone", "-infinity", "null"),
            ("interval", "1 year 2 mons 3 days 04:05:06.789", "37090350"),
        ]);
    }

    #[test]
    fn what_has_parts_is_written_by_its_rule() {
        are_written(&[
            ("point", "(1.5,-2)", r#"{"x":1.5,"y":-2.0}"#),
            ("point", "(NaN,Infinity)", r#"{"x":null,"y":null}"#),
            ("int4range", "[1,5)", "\"1...5\""),
            ("int8range", "empty", "null"),
            ("numrange", "[1.50,2]", "\"1.5..2.0\""),
            ("daterange", "(,)", "\"-Infinity...Infinity\""),
            ("tsrange", "(,\"2022-01-01 00:00:00.5\"]", "\"..2022-01-01 00:00:00 UTC\""),
            ("tstzrange", "[\"2022-01-01 00:00:00+00\",)", "\"2022-01-01 00:00:00 UTC...\""),
            ("text[]", "{a,\"b c\",NULL}", r#"["a","b c",null]"#),
            ("bigint[]", "{{1},{2}}", "[[1],[2]]"),
            ("boolean[]", "{t,f}", "[true,false]"),
            ("numeric(10,0)[]", "{1.50,2}", r#"["1.5","2.0"]"#),
            (
                "timestamp(6) without time zone[]",
                "{\"2022-08-22 08:01:47.123456\"}",
                r#"["2022-08-22T08:01:47.123Z"]"#,
            ),
            ("bytea[]", "{\"\\\\x6162\"}", r#"["ab"]"#),
            ("int4range[]", "{\"[1,5)\"}", r#"["1...5"]"#),
        ]);
    }

    #[test]
    fn null_is_null_whatever_the_type() {
        for type_name in ["bigint", "text[]", "jsonb", "public.mood"] {
            let mut out = JsonWriter::new();
            write(type_name, None, &mut out);
            assert_eq!(out.finish().unwrap(), b"null");
        }
    }

    #[test]
    fn what_has_no_form_on_the_wire_is_refused_with_its_reason() {
        let lower = "its range excludes its lower bound, which has no form on the wire";
        for (type_name, text, reason) in [
            ("bytea", "\\xff00fe", "its bytes are not UTF-8"),
            ("numrange", "(1,2)", lower),
            ("tsrange", "(\"2022-01-01 00:00:00\",)", lower),
            ("daterange", "[2022-01-01,infinity)", INFINITE_BOUND),
            ("timestamp without time zone", "294276-01-01 00:00:00", NO_TIME),
            ("date", "5874897-12-31", NO_TIME),
        ] {
            assert_eq!(written(type_name, text), Err(reason), "{type_name} {text}");
        }
    }

    #[test]
    fn text_that_postgres_would_not_print_is_refused() {
        for (type_name, text) in [
            ("bigint", "1.5"),
            ("numeric(5,0)", "1.5"),
            ("numeric", "1,5"),
            ("real", "x"),
            ("boolean", "yes"),
            ("bytea", "abc"),
            ("bytea", "\\x616"),
            ("bytea", "\\xzz"),
            ("json", "{"),
            ("interval", "1 fortnight"),
            ("inet", "300.0.0.1"),
            ("point", "1,2"),
            ("int4range", "[1,5"),
            ("int4range", "1,5]"),
            ("int4range", "[1]"),
            ("int4range", "é"),
            ("int4range", ""),
            ("time without time zone", "noon"),
            ("time with time zone", "12:00:00"),
            ("bigint[]", "{1,x}"),
        ] {
            assert!(written(type_name, text).is_err(), "{type_name} {text}");
        }
    }
}
