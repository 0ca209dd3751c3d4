//! Ranges from Postgres's text: `[1,5)`, `(,"2022-01-01 00:00:00"]`, `empty`.

use std::ops::Bound;

use crate::JsonWriter;
use crate::json::RangeBound;

const MALFORMED: &str = "its text is not that of a range";

/// Writes the range whose bounds `read` reads, or refuses with its reason.
pub(super) fn write<T: RangeBound>(
    text: &str,
    out: &mut JsonWriter,
    read: impl Fn(&str) -> Result<T, &'static str>,
) {
    if text == "empty" {
        return out.null();
    }
    match bounds(text, read) {
        Ok((lower, upper)) => out.range(lower.as_ref(), upper.as_ref()),
        Err(reason) => out.refuse(reason),
    }
}

fn bounds<T>(
    text: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<(Bound<T>, Bound<T>), &'static str> {
    let (lower_is_in, rest) = match text.strip_prefix('[') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('(').ok_or(MALFORMED)?),
    };
    let (upper_is_in, rest) = match rest.strip_suffix(']') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_suffix(')').ok_or(MALFORMED)?),
    };
    // Numbers, dates and times hold neither commas nor quotes.
    let (lower, upper) = rest.split_once(',').ok_or(MALFORMED)?;
    Ok((bound(lower, lower_is_in, &read)?, bound(upper, upper_is_in, &read)?))
}

fn bound<T>(
    text: &str,
    is_in: bool,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Bound<T>, &'static str> {
    match text.trim_matches('"') {
        "" => Ok(Bound::Unbounded),
        text if is_in => read(text).map(Bound::Included),
        text => read(text).map(Bound::Excluded),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    use super::*;

    #[test]
    fn bounds_belong_to_the_range_or_not() {
        let read = |text: &str| text.parse::<i64>().map_err(|_| "no number");
        for (text, expected) in [
            ("[1,5)", Ok((Included(1), Excluded(5)))),
            ("(1,5]", Ok((Excluded(1), Included(5)))),
            ("[\"1\",)", Ok((Included(1), Unbounded))),
            ("(,)", Ok((Unbounded, Unbounded))),
            ("[x,)", Err("no number")),
            ("", Err(MALFORMED)),
            ("[1]", Err(MALFORMED)),
            ("[1,5", Err(MALFORMED)),
            ("1,5]", Err(MALFORMED)),
            ("é", Err(MALFORMED)),
        ] {
            assert_eq!(bounds(text, read), expected, "{text}");
        }
    }
}
