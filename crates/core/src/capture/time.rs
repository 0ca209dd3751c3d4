//! Dates, times and intervals from Postgres's text, in the styles that the trigger's function pins: `ISO, YMD`, `postgres`, UTC.

use std::str::FromStr;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// A date or a timestamp may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When<T> {
    Finite(T),
    Infinite,
}

/// Months, days and microseconds: an interval as Postgres keeps it.
pub(super) type Interval = (i32, i32, i64);

/// `2022-08-22`, `10000-01-01`, `0044-03-15 BC`. `None` also for a year that chrono does not know.
pub(super) fn date(text: &str) -> Option<When<NaiveDate>> {
    if is_infinite(text) {
        return Some(When::Infinite);
    }
    let (text, before_christ) = era(text);
    day(text, before_christ).map(When::Finite)
}

/// `2022-08-22 08:01:47.123456`; with a zone, which is UTC, `2022-08-22 08:01:47+00`. The era stands behind all.
pub(super) fn timestamp(text: &str) -> Option<When<NaiveDateTime>> {
    if is_infinite(text) {
        return Some(When::Infinite);
    }
    let (text, before_christ) = era(text);
    let (date, time) = text.split_once(' ')?;
    let time = time.strip_suffix("+00").unwrap_or(time);
    Some(When::Finite(day(date, before_christ)?.and_time(clock(time)?)))
}

/// `12:34:56.789123`. Postgres knows 24:00:00; sqlx reads it as midnight.
pub(super) fn clock(text: &str) -> Option<NaiveTime> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute): (u32, u32) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let (second, microseconds) = seconds(parts.next()?)?;
    NaiveTime::from_hms_micro_opt(hour % 24, minute, second, microseconds).filter(|_| hour <= 24)
}

/// `12:34:56.789123+05:30`: the time, and the seconds east of Greenwich.
pub(super) fn clock_with_zone(text: &str) -> Option<(NaiveTime, i32)> {
    let sign_at = text.find(['+', '-'])?;
    let (time, offset) = text.split_at(sign_at);
    let (west, offset) = (offset.starts_with('-'), &offset[1..]);
    let mut east = 0;
    for (part, worth) in offset.split(':').zip([3600, 60, 1]) {
        east += digits::<i32>(part)? * worth;
    }
    Some((clock(time)?, if west { -east } else { east }))
}

/// `1 year 2 mons -3 days +04:05:06.789`, each part there only if it says something; `00:00:00`.
pub(super) fn interval(text: &str) -> Option<Interval> {
    match text {
        "infinity" => return Some((i32::MAX, i32::MAX, i64::MAX)),
        "-infinity" => return Some((i32::MIN, i32::MIN, i64::MIN)),
        _ => {}
    }
    let (mut months, mut days, mut microseconds) = (0_i32, 0_i32, 0_i64);
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        if word.contains(':') {
            microseconds = span(word)?;
            continue;
        }
        let count: i32 = word.parse().ok()?;
        match words.next()? {
            "year" | "years" => months = months.checked_add(count.checked_mul(12)?)?,
            "mon" | "mons" => months = months.checked_add(count)?,
            "day" | "days" => days = count,
            _ => return None,
        }
    }
    Some((months, days, microseconds))
}

/// `-2562047788:00:54.775808`, in microseconds.
fn span(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = unsigned.splitn(3, ':');
    let (hours, minutes): (i128, i128) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let (second, microsecond) = seconds(parts.next()?)?;
    let whole = (hours * 60 + minutes) * 60 + i128::from(second);
    let microseconds = whole * 1_000_000 + i128::from(microsecond);
    i64::try_from(if negative { -microseconds } else { microseconds }).ok()
}

fn is_infinite(text: &str) -> bool {
    matches!(text, "infinity" | "-infinity")
}

fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

/// Year 1 BC is the year 0 of ISO 8601.
fn day(text: &str, before_christ: bool) -> Option<NaiveDate> {
    let mut parts = text.splitn(3, '-');
    let year: i32 = digits(parts.next()?)?;
    let (month, day) = (digits(parts.next()?)?, digits(parts.next()?)?);
    NaiveDate::from_ymd_opt(if before_christ { 1 - year } else { year }, month, day)
}

/// `47` or `47.123456`: seconds and microseconds.
fn seconds(text: &str) -> Option<(u32, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let microseconds: u32 = digits(fraction)?;
    let missing = 6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    Some((digits(whole)?, microseconds * 10_u32.pow(missing)))
}

/// A number without a sign.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ymd(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn dates_of_all_times_are_read() {
        assert_eq!(date("2022-08-22"), Some(When::Finite(ymd(2022, 8, 22))));
        assert_eq!(date("10000-01-01"), Some(When::Finite(ymd(10_000, 1, 1))));
        assert_eq!(date("0044-03-15 BC"), Some(When::Finite(ymd(-43, 3, 15))));
        assert_eq!(date("0001-12-31 BC"), Some(When::Finite(ymd(0, 12, 31))));
        assert_eq!(date("-infinity"), Some(When::Infinite));
        for text in ["", "2022-08", "22/08/2022", "2022-02-30", "5874897-12-31", "+2022-08-22"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_keep_their_microseconds() {
        let at =
            |micros| When::Finite(ymd(2022, 8, 22).and_hms_micro_opt(8, 1, 47, micros).unwrap());
        assert_eq!(timestamp("2022-08-22 08:01:47"), Some(at(0)));
        assert_eq!(timestamp("2022-08-22 08:01:47.1"), Some(at(100_000)));
        assert_eq!(timestamp("2022-08-22 08:01:47.000012+00"), Some(at(12)));
        let ides = ymd(-43, 3, 15).and_hms_opt(12, 0, 0).unwrap();
        assert_eq!(timestamp("0044-03-15 12:00:00+00 BC"), Some(When::Finite(ides)));
        assert_eq!(timestamp("infinity"), Some(When::Infinite));
        for text in
            ["2022-08-22", "2022-08-22 08:01:47+02", "2022-08-22 08:01", "294276-13-31 23:59:59"]
        {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn the_end_of_the_day_is_its_beginning() {
        assert_eq!(clock("24:00:00"), NaiveTime::from_hms_opt(0, 0, 0));
        assert_eq!(clock("23:59:59.999999"), NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999));
        assert_eq!(clock("25:00:00"), None);
        assert_eq!(clock("1.5:00:00"), None);
    }

    #[test]
    fn offsets_are_east_of_greenwich() {
        let at = NaiveTime::from_hms_opt(12, 34, 56).unwrap();
        for (text, east) in [
            ("12:34:56+02", 7200),
            ("12:34:56-05:30", -19_800),
            ("12:34:56+00:09:21", 561),
            ("12:34:56-00", 0),
        ] {
            assert_eq!(clock_with_zone(text), Some((at, east)), "{text}");
        }
        assert_eq!(clock_with_zone("12:34:56"), None);
    }

    #[test]
    fn each_part_of_an_interval_has_its_sign() {
        for (text, parts) in [
            ("00:00:00", (0, 0, 0)),
            ("1 year 2 mons 3 days 04:05:06.789", (14, 3, 14_706_789_000)),
            ("-1 days -00:00:01", (0, -1, -1_000_000)),
            ("-1 years -2 mons +3 days -04:05:06", (-14, 3, -14_706_000_000)),
            ("1 mon", (1, 0, 0)),
            ("-00:00:00.000001", (0, 0, -1)),
            (
                "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808",
                (i32::MIN, i32::MIN, i64::MIN),
            ),
            ("infinity", (i32::MAX, i32::MAX, i64::MAX)),
        ] {
            assert_eq!(interval(text), Some(parts), "{text}");
        }
        for text in ["", "1", "1 week", "P1D", "@ 1 day", "04:05"] {
            assert_eq!(interval(text), None, "{text}");
        }
    }
}
