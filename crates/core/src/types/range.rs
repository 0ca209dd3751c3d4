//! Ranges.

use std::ops::Bound;

use super::RangeBound;
use crate::{Attribute, JsonWriter, Schema};

/// A range column, such as `int4range`. On the wire Ruby's text, `"1...5"`; an empty range is null. A lower bound that is excluded is refused, as
/// in the gem; Postgres turns it into an included one where values are discrete.
///
/// Sqlx's `PgRange` does not tell the empty range from the one without bounds, which differ on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Range<T> {
    /// Holds nothing.
    Empty,
    /// Lower and upper bound.
    Between(Bound<T>, Bound<T>),
}

impl<T: RangeBound> Attribute for Range<T> {
    fn write(&self, out: &mut JsonWriter) {
        match self {
            Self::Empty => out.null(),
            Self::Between(lower, upper) => out.range(lower.as_ref(), upper.as_ref()),
        }
    }

    fn schema() -> Schema {
        let bound = T::bound_pattern();
        let pattern = format!(r"({bound}|-Infinity)?\.\.\.?({bound}|Infinity)?");
        Schema::string().pattern(&pattern).nullable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Numeric;

    #[test]
    fn the_empty_range_is_null_and_the_boundless_one_is_not() {
        assert_eq!(Range::<i32>::Empty.text(), None);
        let all = Range::<i32>::Between(Bound::Unbounded, Bound::Unbounded);
        assert_eq!(all.text().as_deref(), Some("-Infinity...Infinity"));
    }

    #[test]
    fn decimals_keep_a_fractional_digit() {
        let bound = |text: &str| text.parse::<Numeric>().unwrap();
        let range = Range::Between(Bound::Included(bound("1.50")), Bound::Excluded(bound("2")));
        assert_eq!(range.text().as_deref(), Some("1.5...2.0"));
    }
}
