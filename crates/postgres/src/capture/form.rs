//! Whether the application's type and the table's column come to the same bytes.
//!
//! The type says what it writes (its JSON Schema, in the registered topology), the encoder's rule for the column what a captured row holds. Where these
//! differ, a consumer would get the one or the other depending on who wrote: refused. Where the type says nothing, a person has to look.

use serde_json::Value;

use super::column::Column;

/// A form on the wire, as far as types and columns can differ in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// Whatever a JSON column holds, or what a type does not say.
    Any,
    Boolean,
    Integer,
    Number,
    /// A number in a string.
    Decimal,
    Date,
    /// Of a day or of all days.
    Time,
    Text,
    /// One of these texts.
    Label(Vec<String>),
    List(Box<Form>),
    Object,
}

/// What a comparison comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Agreement {
    /// The same bytes, if the column's type is taken for this one.
    As(String),
    /// The type does not say: a note for the person who reviews.
    Unknown(String),
    /// Different bytes: why.
    Never(String),
}

impl Form {
    /// Of a type, null left aside.
    pub(super) fn of(schema: &Value) -> Self {
        let kind = match &schema["type"] {
            Value::String(kind) => kind,
            Value::Array(kinds) => {
                match kinds.iter().filter_map(Value::as_str).find(|it| *it != "null") {
                    Some(kind) => kind,
                    None => return Self::Any,
                }
            }
            _ => match schema["anyOf"].as_array().map(Vec::as_slice) {
                Some([one, null]) if null["type"] == "null" => return Self::of(one),
                _ => return Self::Any,
            },
        };
        match (kind, schema["format"].as_str()) {
            ("boolean", _) => Self::Boolean,
            ("integer", _) => Self::Integer,
            ("number", _) => Self::Number,
            ("array", _) => Self::List(Box::new(Self::of(&schema["items"]))),
            ("object", _) => Self::Object,
            ("string", Some("decimal")) => Self::Decimal,
            ("string", Some("date")) => Self::Date,
            ("string", Some("date-time")) => Self::Time,
            ("string", _) => match schema["enum"].as_array() {
                Some(labels) => {
                    Self::Label(labels.iter().filter_map(Value::as_str).map(Into::into).collect())
                }
                None => Self::Text,
            },
            _ => Self::Any,
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Any => "a JSON value",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a float",
            Self::Decimal => "a decimal",
            Self::Date => "a date",
            Self::Time => "a time",
            Self::Text => "a text",
            Self::Label(_) => "a label of its own",
            Self::List(_) => "a list",
            Self::Object => "an object",
        }
    }
}

/// Compares what a type writes with what is captured of its column.
pub(super) fn agree(schema: &Value, column: &Column) -> Agreement {
    let same = || Agreement::As(column.type_name.clone());
    let (typed, captured) = elements(Form::of(schema), column.form());
    match (&typed, &captured) {
        // A JSON column holds what the type was made of.
        (_, Form::Any) => same(),
        _ if typed == captured => same(),
        (Form::Any, _) => Agreement::Unknown(format!(
            "its type does not say what it writes; captured it is {}",
            captured.words()
        )),
        // The application's type knows better than the column how many digits follow the point; elements have none of their own.
        (Form::Decimal, Form::Integer) if column.is_numeric() => Agreement::As("numeric".into()),
        (Form::Integer, Form::Decimal) if column.is_numeric() => {
            Agreement::As("numeric(1000,0)".into())
        }
        (Form::Label(labels), Form::Text) => match &column.labels {
            Some(stored) if stored.iter().all(|label| labels.contains(label)) => same(),
            Some(_) => {
                Agreement::Never("its type writes other labels than its column's enum has".into())
            }
            None => Agreement::Unknown(
                "its type writes labels; captured it is the column's text, whatever that is".into(),
            ),
        },
        _ => Agreement::Never(format!(
            "its type writes {}, captured from a column of type `{}` it would be {}",
            typed.words(),
            column.type_name,
            captured.words()
        )),
    }
}

/// Of two lists, what they are lists of; to Postgres a list of lists is one of more dimensions.
fn elements(typed: Form, captured: Form) -> (Form, Form) {
    match (typed, captured) {
        (Form::List(mut typed), Form::List(captured)) => {
            while let Form::List(inner) = *typed {
                typed = inner;
            }
            (*typed, *captured)
        }
        pair => pair,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn column(type_name: &str, base: &str) -> Column {
        Column {
            name: "c".into(),
            type_name: type_name.into(),
            base: base.into(),
            is_array: type_name.ends_with("[]"),
            is_virtual: false,
            labels: (base.is_empty()).then(|| vec!["sad".into(), "happy".into()]),
        }
    }

    #[test]
    fn schemas_are_told_by_type_and_format() {
        for (schema, form) in [
            (json!({}), Form::Any),
            (json!({ "type": "integer", "minimum": 0 }), Form::Integer),
            (json!({ "type": ["string", "null"], "format": "decimal" }), Form::Decimal),
            (json!({ "type": "string", "format": "uuid" }), Form::Text),
            (json!({ "type": "string", "format": "date-time" }), Form::Time),
            (
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
                Form::Label(vec!["a".into()]),
            ),
            (
                json!({ "type": "array", "items": { "type": "number" } }),
                Form::List(Box::new(Form::Number)),
            ),
            (json!({ "anyOf": [{ "type": "boolean" }, { "type": "null" }] }), Form::Boolean),
            (json!({ "anyOf": [{ "type": "boolean" }, { "type": "string" }] }), Form::Any),
            (json!({ "type": "null" }), Form::Any),
        ] {
            assert_eq!(Form::of(&schema), form, "{schema}");
        }
    }

    #[test]
    fn what_comes_to_other_bytes_is_not_captured() {
        let (text, integer) = (json!({ "type": "string" }), json!({ "type": "integer" }));
        let label = |labels: &[&str]| json!({ "type": "string", "enum": labels });
        let decimal = json!({ "type": ["string", "null"], "format": "decimal" });
        let list = |items: &Value| json!({ "type": "array", "items": items });
        let taken = |name: &str| Some(Some(name.to_owned()));
        for (schema, column, expected) in [
            (&text, column("uuid", "uuid"), taken("uuid")),
            (&integer, column("bigint", "int8"), taken("bigint")),
            (&decimal, column("numeric(10,0)", "numeric"), taken("numeric")),
            (&integer, column("numeric", "numeric"), taken("numeric(1000,0)")),
            (&integer, column("numeric(10,0)", "numeric"), taken("numeric(10,0)")),
            (&list(&decimal), column("numeric(10,0)[]", "numeric"), taken("numeric(10,0)[]")),
            (&list(&integer), column("numeric[]", "numeric"), None),
            (&list(&integer), column("jsonb", "jsonb"), taken("jsonb")),
            (&list(&list(&integer)), column("bigint[]", "int8"), taken("bigint[]")),
            (&list(&text), column("bigint", "int8"), None),
            (&list(&label(&["happy", "sad"])), column("public.mood[]", ""), taken("public.mood[]")),
            (&label(&["sad", "happy", "calm"]), column("public.mood", ""), taken("public.mood")),
            (&label(&["Sad", "Happy"]), column("public.mood", ""), None),
            (&label(&["draft"]), column("integer", "int4"), None),
            (&label(&["draft"]), column("text", "text"), Some(None)),
            (&json!({}), column("integer", "int4"), Some(None)),
            (&json!({}), column("json", "json"), taken("json")),
            (&integer, column("timestamp without time zone", "timestamp"), None),
        ] {
            let found = match agree(schema, &column) {
                Agreement::As(name) => Some(Some(name)),
                Agreement::Unknown(_) => Some(None),
                Agreement::Never(_) => None,
            };
            assert_eq!(found, expected, "{schema} {column:?}");
        }
    }
}
