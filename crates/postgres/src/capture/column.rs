//! A column in the trigger's function: the expressions for its text, and for what is published of it.

use super::form::Form;
use crate::replicas::quoted;

/// A column of a captured table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    /// As `format_type` prints it; of a domain, that which it is made of.
    pub(super) type_name: String,
    /// The type's own name, or its elements'; empty for a type that is not Postgres's own.
    pub(super) base: String,
    pub(super) is_array: bool,
    /// Generated when it is read, so that a trigger does not see it.
    pub(super) is_virtual: bool,
    /// Of an enum.
    pub(super) labels: Option<Vec<String>>,
}

impl Column {
    /// The value as Postgres prints it, or null: `new."name"::text`.
    pub(super) fn text(&self, row: &str) -> String {
        let value = self.value(row);
        match (self.base.as_str(), self.is_array) {
            // A cast to text would take the padding off, and the declaration of the encoding be kept.
            ("bpchar", false) => format!("textin(bpcharout({value}))"),
            ("xml", false) => format!("textin(xml_out({value}))"),
            // As a number: its own text has a currency and commas.
            ("money", false) => format!("{value}::numeric::text"),
            ("money", true) => format!("{value}::numeric[]::text"),
            _ => format!("{value}::text"),
        }
    }

    /// What two states are compared by: as much of the value as is published, where that is less than the text says.
    pub(super) fn published(&self, row: &str) -> String {
        let value = self.value(row);
        match (self.base.as_str(), self.is_array) {
            ("timestamp" | "timestamptz", false) => {
                format!("date_trunc('milliseconds', {value})::text")
            }
            ("time", false) => format!("date_trunc('milliseconds', {value}::interval)::text"),
            ("numeric", false) => format!("trim_scale({value})::text"),
            ("inet" | "cidr", false) => format!("host(network({value}))"),
            // A month counts 2,629,746 seconds, a year twelve of these.
            ("interval", false) => format!(
                "trunc(extract(year from {value}) * 31556952 + extract(month from {value}) * 2629746 + extract(day from {value}) * 86400 \
                 + extract(hour from {value}) * 3600 + extract(minute from {value}) * 60 + extract(second from {value}))::text"
            ),
            _ => self.text(row),
        }
    }

    /// What the encoder makes of the text.
    pub(super) fn form(&self) -> Form {
        let one = match self.base.as_str() {
            "int2" | "int4" | "int8" | "oid" | "interval" => Form::Integer,
            "numeric" if self.is_whole() => Form::Integer,
            "numeric" | "money" => Form::Decimal,
            "float4" | "float8" => Form::Number,
            "bool" => Form::Boolean,
            "date" => Form::Date,
            "time" | "timestamp" | "timestamptz" => Form::Time,
            "json" | "jsonb" => Form::Any,
            "point" => Form::Object,
            _ => Form::Text,
        };
        if self.is_array { Form::List(Box::new(one)) } else { one }
    }

    /// `numeric(p,0)`
    fn is_whole(&self) -> bool {
        self.type_name.ends_with(",0)")
    }

    pub(super) fn is_numeric(&self) -> bool {
        !self.is_array && self.base == "numeric"
    }

    /// Whether its text can stand in a key as it is.
    pub(super) fn is_verbatim(&self) -> bool {
        let changed = [
            "numeric",
            "money",
            "float4",
            "float8",
            "date",
            "time",
            "timetz",
            "timestamp",
            "timestamptz",
            "interval",
            "json",
            "jsonb",
            "bytea",
            "inet",
            "cidr",
            "point",
            "xml",
        ];
        !self.is_array && !changed.contains(&self.base.as_str()) && !self.base.ends_with("range")
    }

    pub(super) fn is_integer(&self) -> bool {
        !self.is_array && matches!(self.base.as_str(), "int2" | "int4" | "int8" | "oid")
    }

    /// Whether its text may be empty, or as long as one likes.
    pub(super) fn is_free_text(&self) -> bool {
        !self.is_integer() && !matches!(self.base.as_str(), "uuid" | "bool")
    }

    /// Bytes that a message surely has because of it; `None` where a few are likely, or the text says more than the message.
    pub(super) fn size(&self, row: &str) -> Option<String> {
        let counts = !self.is_array && matches!(self.base.as_str(), "text" | "varchar" | "bytea");
        counts.then(|| format!("coalesce(octet_length({}), 0)", self.value(row)))
    }

    /// Whether it is bytes, which have to be text.
    pub(super) fn is_bytes(&self) -> bool {
        self.base == "bytea" && !self.is_array
    }

    /// A condition under which it has no form on the wire.
    pub(super) fn refused(&self, row: &str) -> Option<(String, &'static str)> {
        let value = self.value(row);
        let excluded =
            format!("not (lower_inc({value}) or lower_inf({value}) or isempty({value}))");
        let infinite = format!("false in (isfinite(lower({value})), isfinite(upper({value})))");
        let (excluded_is, infinite_is) =
            ("has a range that excludes its lower bound", "has a range with an infinite bound");
        match (self.base.as_str(), self.is_array) {
            ("numrange", false) => Some((excluded, excluded_is)),
            ("daterange", false) => Some((infinite, infinite_is)),
            ("tsrange" | "tstzrange", false) => Some((
                format!("{excluded} or {infinite}"),
                "has a range that excludes its lower bound or has an infinite one",
            )),
            _ => None,
        }
    }

    pub(super) fn value(&self, row: &str) -> String {
        format!("{row}.{}", quoted(&self.name))
    }
}
