//! Dates and times: ISO 8601, UTC, cut (not rounded) to milliseconds.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::number::write_u64;

pub(super) fn write_timestamp(out: &mut Vec<u8>, value: NaiveDateTime) {
    out.push(b'"');
    write_day(out, value.date());
    write_clock(out, value.time());
    out.push(b'"');
}

pub(super) fn write_date(out: &mut Vec<u8>, value: NaiveDate) {
    out.push(b'"');
    write_day(out, value);
    out.push(b'"');
}

/// A time of day is a time on the first day of 2000: Rails gives it that day.
pub(super) fn write_time(out: &mut Vec<u8>, value: NaiveTime) {
    out.extend_from_slice(b"\"2000-01-01");
    write_clock(out, value);
    out.push(b'"');
}

/// Years count as in ISO 8601: 44 BC is `-0043`. They have four digits or more.
pub(super) fn write_day(out: &mut Vec<u8>, day: NaiveDate) {
    if day.year() < 0 {
        out.push(b'-');
    }
    write_padded(out, day.year().unsigned_abs(), 4);
    out.push(b'-');
    write_padded(out, day.month(), 2);
    out.push(b'-');
    write_padded(out, day.day(), 2);
}

fn write_clock(out: &mut Vec<u8>, time: NaiveTime) {
    // chrono writes a leap second as more than 10^9 nanoseconds.
    let milliseconds = (time.nanosecond() / 1_000_000).min(999);
    for (separator, value, width) in [
        (b'T', time.hour(), 2),
        (b':', time.minute(), 2),
        (b':', time.second(), 2),
        (b'.', milliseconds, 3),
    ] {
        out.push(separator);
        write_padded(out, value, width);
    }
    out.push(b'Z');
}

pub(super) fn write_padded(out: &mut Vec<u8>, value: u32, width: usize) {
    let digits = value.checked_ilog10().unwrap_or(0) as usize + 1;
    out.resize(out.len() + width.saturating_sub(digits), b'0');
    write_u64(out, u64::from(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn at(year: i32, month: u32, day: u32, clock: (u32, u32, u32, u32)) -> NaiveDateTime {
        let (hour, minute, second, micros) = clock;
        NaiveDate::from_ymd_opt(year, month, day)
            .unwrap()
            .and_hms_micro_opt(hour, minute, second, micros)
            .unwrap()
    }

    #[test]
    fn times_are_cut_to_three_digits() {
        for (value, written) in [
            (at(2022, 8, 22, (8, 1, 47, 0)), "2022-08-22T08:01:47.000Z"),
            (at(2022, 8, 22, (8, 1, 47, 123_456)), "2022-08-22T08:01:47.123Z"),
            (at(1969, 12, 31, (23, 59, 59, 999_999)), "1969-12-31T23:59:59.999Z"),
            (at(9999, 12, 31, (23, 59, 59, 999_999)), "9999-12-31T23:59:59.999Z"),
            (at(10_000, 1, 1, (0, 0, 0, 0)), "10000-01-01T00:00:00.000Z"),
            (at(-43, 3, 15, (12, 0, 0, 0)), "-0043-03-15T12:00:00.000Z"),
            (at(0, 1, 1, (0, 0, 0, 0)), "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(text(|out| write_timestamp(out, value)), format!("\"{written}\""));
        }
    }

    #[test]
    fn dates_have_no_clock_and_clocks_have_the_first_day_of_2000() {
        let date = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
        assert_eq!(text(|out| write_date(out, date(2022, 8, 22))), "\"2022-08-22\"");
        assert_eq!(text(|out| write_date(out, date(1, 1, 1))), "\"0001-01-01\"");
        assert_eq!(text(|out| write_date(out, date(-43, 3, 15))), "\"-0043-03-15\"");
        assert_eq!(text(|out| write_date(out, date(10_000, 1, 1))), "\"10000-01-01\"");
        let time = NaiveTime::from_hms_micro_opt(12, 34, 56, 789_123).unwrap();
        assert_eq!(text(|out| write_time(out, time)), "\"2000-01-01T12:34:56.789Z\"");
    }

    #[test]
    fn a_leap_second_keeps_three_digits() {
        let leap = NaiveTime::from_hms_milli_opt(23, 59, 59, 1_500).unwrap();
        assert_eq!(text(|out| write_time(out, leap)), "\"2000-01-01T23:59:59.999Z\"");
    }
}
