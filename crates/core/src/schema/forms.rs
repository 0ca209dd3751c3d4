//! The forms that the encoder writes (spec §3.8), one constructor each.

use serde_json::{Map, Number, Value, json};

use super::Schema;

/// A decimal without zeros that say nothing, but with a fractional digit.
pub(crate) const DECIMAL_PATTERN: &str = r"-?(0|[1-9][0-9]*)\.(0|[0-9]*[1-9])";

/// A day. Years have four digits or more, those before year 0 a sign.
pub(crate) const DATE_PATTERN: &str = "-?[0-9]{4,}-[0-9]{2}-[0-9]{2}";

const CLOCK_PATTERN: &str = r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z";

const UUID_PATTERN: &str = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

impl Schema {
    /// `true` or `false`.
    pub fn boolean() -> Self {
        json!({ "type": "boolean" }).into()
    }

    /// An integer of any size.
    pub fn integer() -> Self {
        json!({ "type": "integer" }).into()
    }

    /// A number, with a fraction or without. The writer's floats are also null, where they are not finite.
    pub fn number() -> Self {
        json!({ "type": "number" }).into()
    }

    /// A text.
    pub fn string() -> Self {
        json!({ "type": "string" }).into()
    }

    /// A decimal in a string: `"10.5"`, `"100.0"`.
    pub fn decimal() -> Self {
        Self::string().format("decimal").pattern(DECIMAL_PATTERN)
    }

    /// A time in UTC with milliseconds: `"2022-08-22T06:01:47.999Z"`.
    pub fn timestamp() -> Self {
        Self::string().format("date-time").pattern(&format!("{DATE_PATTERN}T{CLOCK_PATTERN}"))
    }

    /// A date: `"2022-08-22"`.
    pub fn date() -> Self {
        Self::string().format("date").pattern(DATE_PATTERN)
    }

    /// A time of day, which is one on the first day of 2000: `"2000-01-01T12:34:56.789Z"`.
    pub fn time() -> Self {
        Self::string().format("date-time").pattern(&format!("2000-01-01T{CLOCK_PATTERN}"))
    }

    /// A UUID in lower case.
    pub fn uuid() -> Self {
        Self::string().format("uuid").pattern(UUID_PATTERN)
    }

    /// One of these texts.
    pub fn labels<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let labels: Vec<&str> = labels.into_iter().collect();
        json!({ "type": "string", "enum": labels }).into()
    }

    /// A list.
    pub fn list(items: Self) -> Self {
        json!({ "type": "array", "items": items.into_value() }).into()
    }

    /// An object with names of any kind.
    pub fn map(values: Self) -> Self {
        json!({ "type": "object", "additionalProperties": values.into_value() }).into()
    }

    /// An object with these members, all of which are always there. Others may come beside them.
    pub fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Self)>) -> Self {
        let properties: Map<String, Value> =
            members.into_iter().map(|(name, schema)| (name.into(), schema.into_value())).collect();
        let required: Vec<&String> = properties.keys().collect();
        json!({ "type": "object", "required": required, "properties": properties }).into()
    }

    /// No less than `minimum`, no more than `maximum`.
    #[must_use]
    pub fn between(self, minimum: impl Into<Number>, maximum: impl Into<Number>) -> Self {
        self.with("minimum", Value::Number(minimum.into()))
            .with("maximum", Value::Number(maximum.into()))
    }

    /// With the name of a format, such as `uuid`.
    #[must_use]
    pub fn format(self, format: &str) -> Self {
        self.with("format", format.into())
    }

    /// A text that matches this regular expression (of ECMA 262) from beginning to end.
    #[must_use]
    pub fn pattern(self, whole: &str) -> Self {
        self.with("pattern", format!("^({whole})$").into())
    }

    /// With a keyword of JSON Schema, in place of what it said before.
    #[must_use]
    pub fn with(mut self, keyword: &str, value: Value) -> Self {
        if let Value::Object(keywords) = &mut self.0 {
            keywords.insert(keyword.into(), value);
        }
        self
    }
}
