//! Decimals of any size, as their text.

use std::fmt;
use std::str::FromStr;

use crate::json::{RangeBound, decimal, is_integer};
use crate::schema::DECIMAL_PATTERN;
use crate::{Attribute, JsonWriter, LinkId, Schema};

/// A `numeric`: any number of digits, NaN or infinite. On the wire a string with at least one fractional digit, `"10.5"`, `"100.0"`.
///
/// ```
/// use dionysus_core::types::Numeric;
///
/// let price: Numeric = "10.50".parse()?;
/// assert_eq!(price.as_str(), "10.50");
/// # Ok::<(), dionysus_core::types::ParseNumericError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Numeric(String);

/// A `numeric(p,0)`: an integer of any size. On the wire a JSON integer; NaN is null.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct WholeNumeric(String);

/// Text that is no number of the wanted kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this is not the text of {kind}")]
pub struct ParseNumericError {
    kind: &'static str,
}

impl ParseNumericError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        Some("write digits with at most one point, as Postgres does: `-10.50`".into())
    }
}

fn is_special(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

impl Numeric {
    /// The text as it was read: `10.50`, `NaN`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl WholeNumeric {
    /// The text: `12345678901234567890`, `NaN`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Numeric {
    type Err = ParseNumericError;

    /// Takes what Postgres writes for a `numeric`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_special(text) || decimal(text).is_some() {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseNumericError { kind: "a decimal" })
        }
    }
}

impl FromStr for WholeNumeric {
    type Err = ParseNumericError;

    /// Takes what Postgres writes for a `numeric(p,0)`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_special(text) || is_integer(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseNumericError { kind: "an integer" })
        }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for WholeNumeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<i64> for WholeNumeric {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl Attribute for Numeric {
    fn write(&self, out: &mut JsonWriter) {
        out.decimal(&self.0);
    }

    fn schema() -> Schema {
        Schema::decimal().nullable()
    }
}

impl Attribute for WholeNumeric {
    fn write(&self, out: &mut JsonWriter) {
        if is_special(&self.0) {
            out.null();
        } else {
            out.integer_text(&self.0);
        }
    }

    fn schema() -> Schema {
        Schema::integer().nullable()
    }
}

impl LinkId for WholeNumeric {}

impl RangeBound for Numeric {
    fn bound_text(&self) -> String {
        decimal(&self.0).unwrap_or_else(|| self.0.clone())
    }

    fn bound_pattern() -> String {
        format!("{DECIMAL_PATTERN}|NaN|-?Infinity")
    }
}

#[cfg(feature = "rust_decimal")]
impl Attribute for rust_decimal::Decimal {
    fn write(&self, out: &mut JsonWriter) {
        out.decimal(&self.to_string());
    }

    fn schema() -> Schema {
        Schema::decimal()
    }
}

#[cfg(feature = "bigdecimal")]
impl Attribute for bigdecimal::BigDecimal {
    fn write(&self, out: &mut JsonWriter) {
        out.decimal(&self.to_plain_string());
    }

    fn schema() -> Schema {
        Schema::decimal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &impl Attribute) -> String {
        let mut out = JsonWriter::new();
        value.write(&mut out);
        String::from_utf8(out.finish().unwrap()).unwrap()
    }

    #[test]
    fn decimals_are_strings_and_whole_numerics_integers() {
        for (text, json) in [("10.50", "\"10.5\""), ("100", "\"100.0\""), ("NaN", "null")] {
            assert_eq!(written(&text.parse::<Numeric>().unwrap()), json);
        }
        for (text, json) in [
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("-1", "-1"),
            ("NaN", "null"),
        ] {
            assert_eq!(written(&text.parse::<WholeNumeric>().unwrap()), json);
        }
        assert_eq!(written(&WholeNumeric::from(-7)), "-7");
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        assert!("1,5".parse::<Numeric>().is_err());
        let error = "1.5".parse::<WholeNumeric>().unwrap_err();
        assert_eq!(error.to_string(), "this is not the text of an integer");
        assert!(error.remedy().is_some());
    }

    #[cfg(feature = "rust_decimal")]
    #[test]
    fn a_rust_decimal_is_written_as_a_decimal() {
        let value = rust_decimal::Decimal::from_str_exact("10.50").unwrap();
        assert_eq!(written(&value), "\"10.5\"");
        assert_eq!(written(&rust_decimal::Decimal::from(100)), "\"100.0\"");
    }

    #[cfg(feature = "bigdecimal")]
    #[test]
    fn a_big_decimal_is_written_as_a_decimal() {
        for (text, json) in [
            ("1e25", "\"10000000000000000000000000.0\""),
            ("0.000000000000000000012300", "\"0.0000000000000000000123\""),
            ("-0.50", "\"-0.5\""),
        ] {
            assert_eq!(written(&text.parse::<bigdecimal::BigDecimal>().unwrap()), json);
        }
    }
}
