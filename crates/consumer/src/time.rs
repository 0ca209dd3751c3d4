//! Times of messages, for those that have no version.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// Microseconds since 1970 of a time as the wire has it: RFC 3339 with any offset, else `date time` or a date, in UTC.
///
/// `None` for any other form. Postgres knows more of them and has the last word; here it only means that two messages of
/// one batch can't be compared.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    for form in ["%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S%.f%z"] {
        if let Ok(time) = DateTime::parse_from_str(text, form) {
            return Some(time.timestamp_micros());
        }
    }
    let bare = text.strip_suffix(" UTC").unwrap_or(text);
    for form in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(bare, form) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    let date = NaiveDate::parse_from_str(bare, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_one_instant_are_equal() {
        let instant = micros("2024-01-15T10:00:00.500Z").unwrap();
        for form in [
            "2024-01-15T12:00:00.500+02:00",
            "2024-01-15 10:00:00.5",
            "2024-01-15 10:00:00.500 UTC",
            "2024-01-15T10:00:00.5",
            "2024-01-15 12:00:00.500 +0200",
        ] {
            assert_eq!(micros(form), Some(instant), "{form}");
        }
        assert_eq!(micros("2024-01-15"), micros("2024-01-15T00:00:00Z"));
        assert_eq!(micros("yesterday"), None);
    }
}
