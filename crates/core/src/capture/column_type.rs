//! Which rule of the encoder a type's name stands for.

/// A column's type, as far as its values are written differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ColumnType {
    One(Scalar),
    /// Elements, and what separates them in Postgres's text.
    Array(Scalar, char),
}

/// The type of a value that is no array.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scalar {
    Integer,
    /// `numeric(p,0)`
    WholeNumeric,
    Decimal,
    Real,
    Double,
    Boolean,
    /// As it is; also every type without a rule of its own.
    Text,
    Bytes,
    Json,
    Date,
    Time,
    TimeWithZone,
    /// With a zone or without: both are in UTC.
    Timestamp,
    Interval,
    Network,
    Point,
    Range(Bounds),
}

/// The type of a range's bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Bounds {
    Integer,
    Decimal,
    Date,
    Timestamp,
}

impl ColumnType {
    /// By the name that `format_type` prints while only `pg_catalog` is searched: `numeric(12,2)`, `timestamp(6) without time zone[]`,
    /// `public.mood`.
    pub(super) fn of(name: &str) -> Self {
        let Some(element) = name.strip_suffix("[]") else {
            return Self::One(Scalar::of(name));
        };
        let scalar = match Scalar::of(element) {
            // The gem takes the digits after the point from the column, and an array's elements have none of their own.
            Scalar::WholeNumeric => Scalar::Decimal,
            scalar => scalar,
        };
        Self::Array(scalar, if element == "box" { ';' } else { ',' })
    }
}

impl Scalar {
    fn of(name: &str) -> Self {
        // What stands in parentheses is a length or a precision; the words after it belong to the name.
        let (base, modifier, words) = match name.split_once('(') {
            Some((base, rest)) => {
                let (modifier, words) = rest.split_once(')').unwrap_or((rest, ""));
                (base, modifier, words)
            }
            None => (name, "", ""),
        };
        match (base, words) {
            ("smallint" | "integer" | "bigint" | "oid", "") => Self::Integer,
            ("numeric", "") if modifier.ends_with(",0") => Self::WholeNumeric,
            ("numeric" | "money", "") => Self::Decimal,
            ("real", "") => Self::Real,
            ("double precision", "") => Self::Double,
            ("boolean", "") => Self::Boolean,
            ("bytea", "") => Self::Bytes,
            ("json" | "jsonb", "") => Self::Json,
            ("date", "") => Self::Date,
            ("time without time zone", "") | ("time", " without time zone") => Self::Time,
            ("time with time zone", "") | ("time", " with time zone") => Self::TimeWithZone,
            ("timestamp without time zone" | "timestamp with time zone", "")
            | ("timestamp", " without time zone" | " with time zone") => Self::Timestamp,
            // `interval year to month`, `interval day to second(3)`
            _ if base == "interval" || base.starts_with("interval ") => Self::Interval,
            ("inet" | "cidr", "") => Self::Network,
            ("point", "") => Self::Point,
            ("int4range" | "int8range", "") => Self::Range(Bounds::Integer),
            ("numrange", "") => Self::Range(Bounds::Decimal),
            ("daterange", "") => Self::Range(Bounds::Date),
            ("tsrange" | "tstzrange", "") => Self::Range(Bounds::Timestamp),
            _ => Self::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_format_type() {
        for (name, scalar) in [
            ("bigint", Scalar::Integer),
            ("numeric", Scalar::Decimal),
            ("numeric(12,2)", Scalar::Decimal),
            ("numeric(10,0)", Scalar::WholeNumeric),
            ("numeric(10,-2)", Scalar::Decimal),
            ("character varying(10)", Scalar::Text),
            ("bit varying(5)", Scalar::Text),
            ("\"char\"", Scalar::Text),
            ("timestamp without time zone", Scalar::Timestamp),
            ("timestamp(6) with time zone", Scalar::Timestamp),
            ("time(0) without time zone", Scalar::Time),
            ("time with time zone", Scalar::TimeWithZone),
            ("interval", Scalar::Interval),
            ("interval(3)", Scalar::Interval),
            ("interval year to month", Scalar::Interval),
            ("interval day to second(3)", Scalar::Interval),
            ("int8range", Scalar::Range(Bounds::Integer)),
            ("tstzmultirange", Scalar::Text),
            ("public.money", Scalar::Text),
            ("public.\"odd(10)\"", Scalar::Text),
        ] {
            assert_eq!(ColumnType::of(name), ColumnType::One(scalar), "{name}");
        }
    }

    #[test]
    fn decimals_in_arrays_keep_their_point_whatever_the_column_says() {
        for (name, scalar, separator) in [
            ("numeric(10,0)[]", Scalar::Decimal, ','),
            ("timestamp(6) without time zone[]", Scalar::Timestamp, ','),
            ("public.mood[]", Scalar::Text, ','),
            ("box[]", Scalar::Text, ';'),
        ] {
            assert_eq!(ColumnType::of(name), ColumnType::Array(scalar, separator), "{name}");
        }
    }
}
