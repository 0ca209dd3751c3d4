//! What a value looks like on the wire, as JSON Schema.
//!
//! # Why
//! Whoever consumes a topic in another language must know what it holds: that a decimal is a string, that a time has three digits, that
//! a float may be null. The encoder decides this by type, so each [`Attribute`](crate::Attribute) says beside `write` what it writes, and
//! the derive puts these together: the payload contract is never written a second time, and cannot drift from the bytes.
//!
//! # The dialect
//! Draft 07, which AsyncAPI 3 takes as it is. `format` is used where the registries of `OpenAPI` and JSON Schema have a name for it, beside a
//! `pattern` that says the same exactly. A validator that also asserts formats refuses times before year 0 and after 9999, which RFC 3339 does not have.

mod forms;
mod snapshot;

use std::fmt;
use std::hash::{Hash, Hasher};

use serde_json::{Value, json};

pub(crate) use forms::{DATE_PATTERN, DECIMAL_PATTERN};
#[doc(hidden)]
pub use snapshot::{polymorphic, returned, returned_link, returned_links};

/// What JSON a value is written as: a JSON Schema of draft 07.
///
/// The constructors are named after what the [`JsonWriter`](crate::JsonWriter) writes; a schema of your own comes `from` a `serde_json::Value`.
///
/// ```
/// use dionysus_core::Schema;
/// use serde_json::json;
///
/// let rating = Schema::integer().between(1, 5).nullable();
/// assert_eq!(*rating.as_value(), json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 5 }));
/// let parity = Schema::from(json!({ "type": "integer", "multipleOf": 2 }));
/// assert_eq!(parity.as_value()["multipleOf"], 2);
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Schema(Value);

impl Schema {
    /// Any JSON value.
    pub fn any() -> Self {
        Self(json!({}))
    }

    /// The schema as JSON.
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// The schema as JSON.
    pub fn into_value(self) -> Value {
        self.0
    }

    /// Whether it says nothing.
    pub fn is_any(&self) -> bool {
        match &self.0 {
            Value::Object(keywords) => keywords.is_empty(),
            other => *other == Value::Bool(true),
        }
    }

    /// The same, or null.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        if self.is_any() || self.allows_null() {
            return self;
        }
        let Some(keywords) = self.plain() else {
            return Self(json!({ "anyOf": [self.0, { "type": "null" }] }));
        };
        let mut types = match keywords.get("type").cloned() {
            Some(Value::Array(types)) => types,
            one => Vec::from_iter(one),
        };
        types.push("null".into());
        keywords.insert("type".into(), Value::Array(types));
        if let Some(Value::Array(values)) = keywords.get_mut("enum") {
            values.push(Value::Null);
        }
        self
    }

    /// The same without null.
    #[must_use]
    pub fn not_null(mut self) -> Self {
        if let Some([one, Value::Object(null)]) = self.0["anyOf"].as_array().map(Vec::as_slice)
            && null.get("type").is_some_and(|kind| kind == "null")
        {
            return Self(one.clone());
        }
        let Some(keywords) = self.plain() else { return self };
        if let Some(Value::Array(types)) = keywords.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [one] = types.as_slice() {
                let one = one.clone();
                keywords.insert("type".into(), one);
            }
        }
        if let Some(Value::Array(values)) = keywords.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        self
    }

    /// Whether null is among the values; `true` for [`any`](Self::any).
    pub fn allows_null(&self) -> bool {
        if let Some(kinds) = self.0["anyOf"].as_array() {
            return kinds.iter().any(|kind| kind["type"] == "null");
        }
        match &self.0["type"] {
            Value::Array(types) => types.iter().any(|kind| kind == "null"),
            Value::Null => self.is_any(),
            one => one == "null",
        }
    }

    /// The keywords, when none of them combines schemas: then null is a matter of `type` and `enum` alone.
    fn plain(&mut self) -> Option<&mut serde_json::Map<String, Value>> {
        const COMBINING: [&str; 7] = ["const", "allOf", "anyOf", "oneOf", "not", "if", "$ref"];
        let keywords = self.0.as_object_mut()?;
        let plain = keywords.contains_key("type")
            && !COMBINING.iter().any(|keyword| keywords.contains_key(*keyword));
        plain.then_some(keywords)
    }
}

impl From<Value> for Schema {
    fn from(schema: Value) -> Self {
        Self(schema)
    }
}

impl From<Schema> for Value {
    fn from(schema: Schema) -> Self {
        schema.0
    }
}

/// A schema that is made when it is asked for, because a constant cannot hold one.
#[derive(Clone, Copy)]
pub struct SchemaOf(pub fn() -> Schema);

impl SchemaOf {
    /// Makes it.
    pub fn get(self) -> Schema {
        (self.0)()
    }
}

impl fmt::Debug for SchemaOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// By what is made: two functions may be one.
impl PartialEq for SchemaOf {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for SchemaOf {}

impl Hash for SchemaOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_added_once_and_taken_away_again() {
        for schema in [
            Schema::string(),
            Schema::labels(["a", "b"]),
            Schema::number().nullable(),
            Schema::from(json!({ "oneOf": [{ "type": "integer" }, { "type": "string" }] })),
            Schema::from(json!({ "const": 1 })),
        ] {
            let not_null = schema.clone().not_null();
            let nullable = schema.nullable();
            assert!(nullable.allows_null() && !not_null.allows_null(), "{nullable:?}");
            assert_eq!(nullable.clone().nullable(), nullable);
            assert_eq!(nullable.not_null(), not_null);
        }
        assert!(Schema::any().allows_null() && Schema::any().nullable().is_any());
    }

    #[test]
    fn a_null_label_is_a_value_of_its_own() {
        let schema = Schema::labels(["a"]).nullable();
        assert_eq!(*schema.as_value(), json!({ "type": ["string", "null"], "enum": ["a", null] }));
    }

    #[test]
    fn schemas_that_are_made_are_compared_by_what_they_are() {
        fn first() -> Schema {
            Schema::decimal()
        }
        fn second() -> Schema {
            Schema::decimal()
        }
        assert_eq!(SchemaOf(first), SchemaOf(second));
        assert_ne!(SchemaOf(first), SchemaOf(Schema::any));
    }
}
