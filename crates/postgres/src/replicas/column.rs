//! A column of a replica, and how a JSON value becomes one of its values.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// A column, as the catalog describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as SQL text without length or precision: those must raise at assignment, while a cast would cut.
    pub type_name: String,
    /// `pg_type.typcategory`, of the base type for a domain.
    pub(super) category: char,
    /// The base type's name, such as `timestamp` or `_int8`.
    pub(super) base: String,
    /// The table demands a value and gives none.
    pub required: bool,
    /// Postgres computes it: nobody can write it.
    pub generated: bool,
}

impl Column {
    /// A plain column of a base type, by the catalog's name for it (`int8`, `_text`): for tests without a database.
    #[doc(hidden)]
    pub fn of_type(name: impl Into<String>, base: &str) -> Self {
        Self {
            name: name.into(),
            type_name: base.into(),
            category: if base.starts_with('_') { 'A' } else { 'U' },
            base: base.into(),
            required: false,
            generated: false,
        }
    }

    /// Whether it takes JSON as JSON.
    pub fn is_json(&self) -> bool {
        matches!(self.base.as_str(), "json" | "jsonb")
    }

    /// Whether it is a `timestamp` or `timestamptz`.
    pub fn is_time(&self) -> bool {
        matches!(self.base.as_str(), "timestamp" | "timestamptz")
    }

    /// Whether it is a `boolean`.
    pub fn is_boolean(&self) -> bool {
        self.base == "bool"
    }

    /// Whether it is a whole number: `smallint`, `integer` or `bigint`.
    pub fn is_integer(&self) -> bool {
        matches!(self.base.as_str(), "int2" | "int4" | "int8")
    }

    /// Whether it is a `uuid`.
    pub fn is_uuid(&self) -> bool {
        self.base == "uuid"
    }

    /// Whether [`upsert`](super::upsert) fills it by itself when nothing is mapped to it: `created_at` or `updated_at` as Rails makes them.
    pub fn is_demanded_stamp(&self) -> bool {
        self.required && self.is_time() && matches!(self.name.as_str(), "created_at" | "updated_at")
    }

    /// The text that a cast turns into this column's value; `None` is SQL's null.
    ///
    /// `json` must be one well-formed JSON value. A string gives its content, a number its very digits (of any size), an array for an array
    /// column Postgres's notation, everything for a JSON column itself.
    pub fn text_of<'a>(&self, json: &'a str) -> Option<Cow<'a, str>> {
        let json = json.trim();
        match json.as_bytes().first() {
            None | Some(b'n') => None,
            _ if self.is_json() => Some(Cow::Borrowed(json)),
            Some(b'"') => Some(unquote(json)),
            Some(b'[') if self.category == 'A' => {
                let mut literal = String::with_capacity(json.len() + 2);
                write_array(json, &mut literal);
                Some(Cow::Owned(literal))
            }
            Some(_) => Some(Cow::Borrowed(json)),
        }
    }

    /// SQL that makes a value of this column of the text expression.
    pub(super) fn cast(&self, text: &str) -> String {
        match self.base.as_str() {
            // A cast to `timestamp` would drop the offset; an application in Paris writes `+02:00`.
            "timestamp" => format!("({text}::timestamptz at time zone 'UTC')::{}", self.type_name),
            // A cast would read `\x..` and escapes; the wire has the bytes themselves, as a string.
            "bytea" => format!("convert_to({text}, 'UTF8')::{}", self.type_name),
            "text" if self.type_name == "text" => text.to_owned(),
            _ => format!("{text}::{}", self.type_name),
        }
    }

    /// SQL of the transaction's time, as a value of this column.
    pub(super) fn now(&self) -> &'static str {
        if self.base == "timestamp" { "now() at time zone 'UTC'" } else { "now()" }
    }
}

/// The content of a JSON string; borrowed unless it holds escapes.
fn unquote(json: &str) -> Cow<'_, str> {
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json);
    if inner.contains('\\') {
        serde_json::from_str::<String>(json).map_or(Cow::Borrowed(json), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}

/// Postgres's notation of an array: `{1,NULL,"a\"b",{..}}`.
fn write_array(json: &str, out: &mut String) {
    let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
    out.push('{');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        let item = item.get();
        match item.as_bytes().first() {
            Some(b'[') => write_array(item, out),
            Some(b'n') => out.push_str("NULL"),
            Some(b'"') => write_quoted(&unquote(item), out),
            _ => write_quoted(item, out),
        }
    }
    out.push('}');
}

fn write_quoted(content: &str, out: &mut String) {
    out.push('"');
    for c in content.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_the_text_of_the_column() {
        let text = Column::of_type("c", "text");
        let ids = Column::of_type("c", "_int8");
        let data = Column::of_type("c", "jsonb");
        for (column, json, expected) in [
            (&text, "null", None),
            (&text, r#""a\u003cb""#, Some("a<b")),
            (&text, r#""""#, Some("")),
            (&text, "10000000000000000000000000", Some("10000000000000000000000000")),
            (&text, "true", Some("true")),
            (&text, r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            (&ids, "[1,null,3]", Some(r#"{"1",NULL,"3"}"#)),
            (&ids, "[]", Some("{}")),
            (&ids, r#"["a\"b\\",[1]]"#, Some(r#"{"a\"b\\",{"1"}}"#)),
            (&data, r#""s""#, Some(r#""s""#)),
            (&data, "null", None),
            (&data, "[1]", Some("[1]")),
        ] {
            assert_eq!(column.text_of(json).as_deref(), expected, "{json} as {}", column.base);
        }
    }
}
