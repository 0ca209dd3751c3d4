//! Column types of Postgres that neither Rust nor JSON has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Bound;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike};

use super::{JsonWriter, time};
use crate::schema::DATE_PATTERN;

/// A twelfth of 365.2425 days: `ActiveSupport`'s month.
const MONTH_SECONDS: i128 = 2_629_746;
const DAY_SECONDS: i128 = 86_400;
const SECOND_MICROSECONDS: i128 = 1_000_000;

impl JsonWriter {
    /// Writes an `interval` as whole seconds, cut towards zero. A month counts 2,629,746 seconds.
    pub fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
        let seconds = i128::from(months) * MONTH_SECONDS + i128::from(days) * DAY_SECONDS;
        let microseconds = seconds * SECOND_MICROSECONDS + i128::from(microseconds);
        self.displayed(microseconds / SECOND_MICROSECONDS);
    }

    /// Writes an `inet` or `cidr` as the gem does: the address masked by its prefix, without the prefix.
    pub fn network(&mut self, address: IpAddr, prefix: u8) {
        let masked = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).to_string()
            }
            IpAddr::V6(address) => {
                let mask =
                    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
                ipv6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        self.string(&masked);
    }

    /// Writes a `point`: `{"x":1.5,"y":-2.0}`.
    pub fn point(&mut self, x: f64, y: f64) {
        self.begin_object();
        self.attribute("x", &x);
        self.attribute("y", &y);
        self.end_object();
    }

    /// Writes a `timetz` as Postgres's text: `12:34:56.789123+02`. The offset is in seconds, east of Greenwich positive.
    pub fn time_with_zone(&mut self, value: NaiveTime, offset: i32) {
        let (hour, minute, second) = (value.hour(), value.minute(), value.second());
        let microseconds = (value.nanosecond() / 1_000).min(999_999);
        let fraction = format!(".{microseconds:06}");
        // No fraction, no point.
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        let east = offset.unsigned_abs();
        let (hours, minutes, seconds) = (east / 3600, east / 60 % 60, east % 60);
        let sign = if offset < 0 { '-' } else { '+' };
        let clock = format!("{hour:02}:{minute:02}:{second:02}{fraction}{sign}{hours:02}");
        let text = match (minutes, seconds) {
            (0, 0) => clock,
            (_, 0) => format!("{clock}:{minutes:02}"),
            _ => format!("{clock}:{minutes:02}:{seconds:02}"),
        };
        self.string(&text);
    }

    /// Writes a range that is not empty as Ruby's text: `"1...5"`, `"1..5"` where the upper bound belongs to it, `"3...Infinity"`. An excluded lower
    /// bound is a fault, as in the gem.
    pub fn range<T: RangeBound>(&mut self, lower: Bound<&T>, upper: Bound<&T>) {
        let mut text = String::new();
        match lower {
            Bound::Excluded(_) => {
                return self
                    .refuse("its range excludes its lower bound, which has no form on the wire");
            }
            Bound::Included(bound) => text.push_str(&bound.bound_text()),
            Bound::Unbounded if T::OPEN_IS_INFINITE || matches!(upper, Bound::Unbounded) => {
                text.push_str("-Infinity");
            }
            Bound::Unbounded => {}
        }
        text.push_str(if matches!(upper, Bound::Included(_)) { ".." } else { "..." });
        match upper {
            Bound::Included(bound) | Bound::Excluded(bound) => text.push_str(&bound.bound_text()),
            Bound::Unbounded if T::OPEN_IS_INFINITE || matches!(lower, Bound::Unbounded) => {
                text.push_str("Infinity");
            }
            Bound::Unbounded => {}
        }
        self.string(&text);
    }
}

/// Ruby writes the last 32 bits of `::a:b` as an IPv4 address, also without `ffff`.
fn ipv6(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => address.to_string(),
    }
}

/// A type whose values bound a range: integers, decimals, dates and times.
pub trait RangeBound {
    /// Whether the missing bound of a range that has the other one is written as infinity: not for times, where it is left out.
    const OPEN_IS_INFINITE: bool = true;

    /// The bound as Ruby's text.
    fn bound_text(&self) -> String;

    /// A regular expression (of ECMA 262) that all such texts match.
    fn bound_pattern() -> String {
        ".*".into()
    }
}

macro_rules! integer_bounds {
    ($($integer:ty),+) => {
        $(impl RangeBound for $integer {
            fn bound_text(&self) -> String {
                self.to_string()
            }

            fn bound_pattern() -> String {
                "-?[0-9]+".into()
            }
        })+
    };
}

integer_bounds!(i32, i64);

impl RangeBound for NaiveDate {
    fn bound_text(&self) -> String {
        let mut day = Vec::new();
        time::write_day(&mut day, *self);
        String::from_utf8_lossy(&day).into_owned()
    }

    fn bound_pattern() -> String {
        DATE_PATTERN.into()
    }
}

/// Taken as UTC, in whole seconds.
impl RangeBound for NaiveDateTime {
    const OPEN_IS_INFINITE: bool = false;

    fn bound_text(&self) -> String {
        let (day, clock) = (self.date().bound_text(), self.time());
        format!("{day} {:02}:{:02}:{:02} UTC", clock.hour(), clock.minute(), clock.second())
    }

    fn bound_pattern() -> String {
        format!("{DATE_PATTERN} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}} UTC")
    }
}

impl<Tz: TimeZone> RangeBound for DateTime<Tz> {
    const OPEN_IS_INFINITE: bool = false;

    fn bound_text(&self) -> String {
        self.naive_utc().bound_text()
    }

    fn bound_pattern() -> String {
        NaiveDateTime::bound_pattern()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut JsonWriter)) -> String {
        let mut out = JsonWriter::new();
        write(&mut out);
        String::from_utf8(out.finish().unwrap()).unwrap()
    }

    #[test]
    fn intervals_are_whole_seconds() {
        for (interval, seconds) in [
            ((14, 3, 14_706_789_000), "37090350"),
            ((0, -1, -1_000_000), "-86401"),
            ((0, 0, -999_999), "0"),
            ((0, 1, -500_000), "86399"),
            ((i32::MAX, i32::MAX, i64::MAX), "5842102489901316"),
        ] {
            let (months, days, microseconds) = interval;
            assert_eq!(written(|out| out.interval(months, days, microseconds)), seconds);
        }
    }

    #[test]
    fn networks_are_masked_addresses() {
        for (address, prefix, masked) in [
            ("192.168.0.1", 24, "192.168.0.0"),
            ("192.168.0.1", 32, "192.168.0.1"),
            ("255.255.255.255", 0, "0.0.0.0"),
            ("2001:db8::1", 128, "2001:db8::1"),
            ("2001:db8:0:0:1:0:0:1", 64, "2001:db8::"),
            ("::1", 128, "::1"),
            ("::ffff:1.2.3.4", 128, "::ffff:1.2.3.4"),
            ("::102:304", 128, "::1.2.3.4"),
            ("ffff::", 0, "::"),
        ] {
            let text = written(|out| out.network(address.parse().unwrap(), prefix));
            assert_eq!(text, format!("\"{masked}\""));
        }
    }

    #[test]
    fn a_time_with_its_zone_is_the_text_of_postgres() {
        let time = |micros| NaiveTime::from_hms_micro_opt(12, 34, 56, micros).unwrap();
        for (micros, offset, text) in [
            (789_123, 7200, "12:34:56.789123+02"),
            (100_000, -19_800, "12:34:56.1-05:30"),
            (0, 0, "12:34:56+00"),
            (0, 561, "12:34:56+00:09:21"),
        ] {
            assert_eq!(
                written(|out| out.time_with_zone(time(micros), offset)),
                format!("\"{text}\"")
            );
        }
    }

    #[test]
    fn ranges_are_the_text_of_ruby() {
        use Bound::{Excluded, Included, Unbounded};
        let day = &NaiveDate::from_ymd_opt(2022, 1, 1).unwrap();
        let time = &day.and_hms_milli_opt(0, 0, 0, 500).unwrap();
        for (text, range) in [
            ("1...5", written(|out| out.range(Included(&1), Excluded(&5)))),
            ("1..5", written(|out| out.range(Included(&1_i64), Included(&5)))),
            ("3...Infinity", written(|out| out.range(Included(&3), Unbounded))),
            ("-Infinity...3", written(|out| out.range(Unbounded, Excluded(&3)))),
            ("2022-01-01...Infinity", written(|out| out.range(Included(day), Unbounded))),
            ("-Infinity...Infinity", written(|out| out.range::<NaiveDate>(Unbounded, Unbounded))),
            ("2022-01-01 00:00:00 UTC...", written(|out| out.range(Included(time), Unbounded))),
            (
                "..2022-01-01 00:00:00 UTC",
                written(|out| out.range(Unbounded, Included(&time.and_utc()))),
            ),
            (
                "-Infinity...Infinity",
                written(|out| out.range::<NaiveDateTime>(Unbounded, Unbounded)),
            ),
        ] {
            assert_eq!(range, format!("\"{text}\""));
        }
    }

    #[test]
    fn a_range_that_excludes_its_lower_bound_is_refused() {
        let mut out = JsonWriter::new();
        out.range(Bound::Excluded(&1), Bound::Unbounded);
        assert!(out.finish().is_err());
    }

    #[test]
    fn a_point_is_an_object() {
        assert_eq!(written(|out| out.point(1.5, -2.0)), r#"{"x":1.5,"y":-2.0}"#);
    }
}
