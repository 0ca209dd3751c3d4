//! Durations as people write them: `500ms`, `30s`, `5m`, `12h`, `3d`.
//!
//! For fields: `#[serde(with = "dionysus_service::duration")]`. A number without unit is refused: whoever reads it would have to guess.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Milliseconds of each unit, largest first, so that what is printed is short.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration.
///
/// # Errors
/// What was expected, for people.
pub fn parse(text: &str) -> Result<Duration, String> {
    let expected = || {
        format!("`{text}` is no duration: write a whole number with ms, s, m, h or d, such as 30s")
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(*scale).map(Duration::from_millis).ok_or_else(expected)
}

/// Writes a duration in its largest whole unit; what is below a millisecond is cut off.
pub fn format(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = |&&(_, scale): &&(&str, u64)| millis != 0 && millis % scale == 0;
    let (unit, scale) = UNITS.iter().find(whole).copied().unwrap_or(("s", 1_000));
    format!("{}{unit}", millis / scale)
}

/// Writes a measured duration in seconds: tenths while they matter.
pub fn rounded(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1}s", duration.as_secs_f64())
    } else {
        format!("{}s", duration.as_secs())
    }
}

/// For `serde(with)`.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// For `serde(with)`.
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["0s", "1ms", "1500ms", "30s", "5m", "90m", "12h", "3d"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        assert_eq!(format(parse("120s").unwrap()), "2m");
    }

    #[test]
    fn a_measured_duration_is_shown_as_exactly_as_it_matters() {
        let shown = [1_249, 9_900, 10_900, 120_000].map(|ms| rounded(Duration::from_millis(ms)));
        assert_eq!(shown, ["1.2s", "9.9s", "10s", "120s"]);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-1s",
            "1.5s",
            "5w",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
