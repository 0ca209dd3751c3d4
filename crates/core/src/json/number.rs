//! Numbers as Ruby writes them.

use std::fmt;
use std::io::Write;

/// A sign, 17 digits, a point and `e-324` fit.
const FLOAT_TEXT_LEN_MAX: usize = 32;

/// The exponents of ten, `d.ddd * 10^e`, that are written without one.
const PLAIN_EXPONENTS: std::ops::Range<i32> = -4..15;

pub(super) fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = digit(value % 10);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

pub(super) fn write_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_u64(out, value.unsigned_abs());
}

/// Appends the shortest digits that are read back as the same `f64` or `f32`, in Ruby's form. Not for NaN and infinities.
pub(super) fn write_float(out: &mut Vec<u8>, value: impl fmt::LowerExp) {
    let mut buffer = [0; FLOAT_TEXT_LEN_MAX];
    let mut free = &mut buffer[..];
    // A slice takes what fits, and the shortest form always fits.
    let fitted = write!(free, "{value:e}").is_ok();
    debug_assert!(fitted, "the shortest form of a float fits {FLOAT_TEXT_LEN_MAX} bytes");
    let length = FLOAT_TEXT_LEN_MAX - free.len();
    let (mut digits, exponent) = split(&buffer[..length]);
    if let [b'-', positive @ ..] = digits {
        out.push(b'-');
        digits = positive;
    }
    let (first, rest) = match digits {
        [first, b'.', rest @ ..] => (*first, rest),
        [first, ..] => (*first, &[][..]),
        [] => (b'0', &[][..]),
    };
    match exponent {
        e if !PLAIN_EXPONENTS.contains(&e) => write_scientific(out, first, rest, e),
        e if e < 0 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + e.unsigned_abs() as usize - 1, b'0');
            out.push(first);
            out.extend_from_slice(rest);
        }
        e => {
            let whole = e.unsigned_abs() as usize;
            out.push(first);
            out.extend_from_slice(&rest[..whole.min(rest.len())]);
            out.resize(out.len() + whole.saturating_sub(rest.len()), b'0');
            out.push(b'.');
            let fraction = rest.get(whole..).unwrap_or_default();
            out.extend_from_slice(if fraction.is_empty() { b"0" } else { fraction });
        }
    }
}

fn write_scientific(out: &mut Vec<u8>, first: u8, rest: &[u8], exponent: i32) {
    out.extend_from_slice(&[first, b'.']);
    out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let exponent = exponent.unsigned_abs();
    if exponent < 10 {
        out.push(b'0');
    }
    write_u64(out, u64::from(exponent));
}

/// Splits Rust's `1.5e-7` at the `e`.
fn split(text: &[u8]) -> (&[u8], i32) {
    let at = text.iter().position(|&byte| byte == b'e').unwrap_or(text.len());
    let mut exponent = 0;
    for &byte in text[at..].iter().filter(|byte| byte.is_ascii_digit()) {
        exponent = exponent * 10 + i32::from(byte - b'0');
    }
    let negative = text.get(at + 1) == Some(&b'-');
    (&text[..at], if negative { -exponent } else { exponent })
}

/// The decimal text of Postgres (`10.50`, `-0.05`, `1e25`) as digits before and after the point, without zeros that say nothing.
/// `None` for what is not a finite decimal.
pub(crate) fn decimal(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || exponent.abs() > 20_000 {
        return None;
    }
    let mut digits = format!("{whole}{fraction}");
    let mut point = i32::try_from(whole.len()).ok()? + exponent;
    if point < 1 {
        digits.insert_str(0, &"0".repeat((1 - point).unsigned_abs() as usize));
        point = 1;
    }
    let point = point.unsigned_abs() as usize;
    if digits.len() < point {
        digits.push_str(&"0".repeat(point - digits.len()));
    }
    let (whole, fraction) = digits.split_at(point);
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let sign = if negative && !(whole.is_empty() && fraction.is_empty()) { "-" } else { "" };
    let or_zero = |part| if str::is_empty(part) { "0" } else { part };
    Some(format!("{sign}{}.{}", or_zero(whole), or_zero(fraction)))
}

/// Whether the text is an integer of any size, as Postgres and JSON write it.
pub(crate) fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[expect(clippy::cast_possible_truncation, reason = "below 10")]
fn digit(value: u64) -> u8 {
    b'0' + value as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float(value: impl fmt::LowerExp) -> String {
        let mut out = Vec::new();
        write_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_are_ruby_text() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (100.0, "100.0"),
            (123_456_789.123_456_79, "123456789.12345679"),
            (0.0001, "0.0001"),
            (0.000_123_4, "0.0001234"),
            (0.00001, "1.0e-05"),
            (0.000_012_5, "1.25e-05"),
            (999_999_999_999_999.0, "999999999999999.0"),
            (1e15, "1.0e+15"),
            (1e16, "1.0e+16"),
            (1e20, "1.0e+20"),
            (12_345_678_901_234_567_890.12, "1.2345678901234567e+19"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5.0e-324"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn reals_have_the_digits_of_float4() {
        for (value, text) in [
            (0.1_f32, "0.1"),
            (1.5, "1.5"),
            (123_456.7, "123456.7"),
            (16_777_216.0, "16777216.0"),
            (1e-7, "1.0e-07"),
            (f32::MAX, "3.4028235e+38"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn decimals_lose_trailing_zeros_but_keep_one_digit() {
        for (text, written) in [
            ("10.5", "10.5"),
            ("10.50", "10.5"),
            ("100", "100.0"),
            ("0", "0.0"),
            ("0.00", "0.0"),
            ("-0.50", "-0.5"),
            ("-0.00", "0.0"),
            ("1e25", "10000000000000000000000000.0"),
            ("1.25e-3", "0.00125"),
            ("0.000000000000000000012300", "0.0000000000000000000123"),
            (
                "123456789012345678901234567890.123456789000",
                "123456789012345678901234567890.123456789",
            ),
        ] {
            assert_eq!(decimal(text).as_deref(), Some(written), "{text}");
        }
        for text in ["", "-", "NaN", "Infinity", "-Infinity", ".5", "1,5", "1e", "1e99999"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn integers_have_any_size() {
        assert!(
            is_integer("12345678901234567890123456789012345678")
                && is_integer("-1")
                && is_integer("0")
        );
        assert!(!is_integer("") && !is_integer("-") && !is_integer("1.0") && !is_integer("1e3"));
    }

    proptest! {
        #[test]
        fn integers_are_those_of_std(value in any::<i64>()) {
            let mut out = Vec::new();
            write_i64(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }

        #[test]
        fn doubles_are_read_back_unchanged(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(float(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }

        #[test]
        fn reals_are_read_back_unchanged(value in any::<f32>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(float(value).parse::<f32>().unwrap().to_bits(), value.to_bits());
        }
    }
}
