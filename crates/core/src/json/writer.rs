//! The writer itself: structure, scalars, and the fault that a value may leave.

use std::io::Write;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::{Attribute, EncodeError, document, escape, number, time};

/// Builds one JSON text in the gem's bytes. Commas come by themselves.
///
/// A value that has no form on the wire leaves a fault, and [`finish`](Self::finish) returns it: encoding needs no `?` at each attribute.
///
/// ```
/// use dionysus_core::JsonWriter;
///
/// let mut out = JsonWriter::new();
/// out.begin_object();
/// out.attribute("name", "Villa <b>");
/// out.attribute("stars", &4.0);
/// out.end_object();
/// assert_eq!(out.finish()?, br#"{"name":"Villa \u003cb\u003e","stars":4.0}"#);
/// # Ok::<(), dionysus_core::EncodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct JsonWriter {
    out: Vec<u8>,
    fault: Option<EncodeError>,
}

impl JsonWriter {
    /// An empty writer.
    pub const fn new() -> Self {
        Self { out: Vec::new(), fault: None }
    }

    /// An empty writer with room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), fault: None }
    }

    /// What was written.
    ///
    /// # Errors
    /// The first fault that a value left.
    pub fn finish(self) -> Result<Vec<u8>, EncodeError> {
        match self.fault {
            None => Ok(self.out),
            Some(fault) => Err(fault),
        }
    }

    /// A writer that appends to what was written elsewhere.
    pub(crate) const fn appending_to(out: Vec<u8>) -> Self {
        Self { out, fault: None }
    }

    /// The first fault so far.
    pub(crate) const fn fault(&self) -> Option<&EncodeError> {
        self.fault.as_ref()
    }

    /// For text in which nothing can leave a fault, or whose faults were looked at.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// The bytes so far, also when a fault was left.
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// Begins an object. Each member is a [`key`](Self::key) and a value, or an [`attribute`](Self::attribute).
    pub fn begin_object(&mut self) {
        self.out.push(b'{');
    }

    /// Begins a member: the next value is the key's.
    pub fn key(&mut self, name: &str) {
        self.separate(b'{');
        escape::write_string(&mut self.out, name);
        self.out.push(b':');
    }

    /// Writes a member: key and value.
    pub fn attribute<T: Attribute + ?Sized>(&mut self, name: &str, value: &T) {
        self.member(name, |out| value.write(out));
    }

    /// Writes a member whose value `write` writes: exactly one.
    pub fn member(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.key(name);
        let sound = self.fault.is_none();
        write(self);
        if sound && let Some(fault) = &mut self.fault {
            fault.attribute = name.into();
        }
    }

    /// Ends an object.
    pub fn end_object(&mut self) {
        self.out.push(b'}');
    }

    /// Begins an array. Each value follows an [`element`](Self::element).
    pub fn begin_array(&mut self) {
        self.out.push(b'[');
    }

    /// Begins an element: the next value is its.
    pub fn element(&mut self) {
        self.separate(b'[');
    }

    /// Ends an array.
    pub fn end_array(&mut self) {
        self.out.push(b']');
    }

    /// Writes null.
    pub fn null(&mut self) {
        self.raw(b"null");
    }

    /// Writes a boolean.
    pub fn boolean(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    /// Writes an integer.
    pub fn integer(&mut self, value: i64) {
        number::write_i64(&mut self.out, value);
    }

    /// Writes an integer that may exceed [`i64::MAX`].
    pub fn unsigned(&mut self, value: u64) {
        number::write_u64(&mut self.out, value);
    }

    /// Writes an integer of any size from its decimal text: a column `numeric(p,0)`. Other text is a fault.
    pub fn integer_text(&mut self, text: &str) {
        if number::is_integer(text) {
            self.raw(text.as_bytes());
        } else {
            self.refuse("it is not the text of an integer");
        }
    }

    /// Writes a `double precision` as Ruby's text. NaN and infinities are null.
    pub fn double(&mut self, value: f64) {
        if value.is_finite() {
            number::write_float(&mut self.out, value);
        } else {
            self.null();
        }
    }

    /// Writes a `real` with its own digits (`0.1`). NaN and infinities are null.
    pub fn real(&mut self, value: f32) {
        if value.is_finite() {
            number::write_float(&mut self.out, value);
        } else {
            self.null();
        }
    }

    /// Writes a `numeric` from its text: a string without trailing zeros but with a fractional digit (`"10.5"`, `"100.0"`). NaN
    /// and infinities are null, other text is a fault.
    pub fn decimal(&mut self, text: &str) {
        match number::decimal(text) {
            Some(decimal) => self.string(&decimal),
            None if matches!(text, "NaN" | "Infinity" | "-Infinity") => self.null(),
            None => self.refuse("it is not the text of a decimal"),
        }
    }

    /// Writes a string.
    pub fn string(&mut self, value: &str) {
        escape::write_string(&mut self.out, value);
    }

    /// Writes a `bytea` as its text. Bytes that are not UTF-8 are a fault, as they are in the gem.
    pub fn bytes(&mut self, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(text) => self.string(text),
            Err(_) => self.refuse("its bytes are not UTF-8"),
        }
    }

    /// Writes a time, given in UTC, cut to milliseconds.
    pub fn timestamp(&mut self, utc: NaiveDateTime) {
        time::write_timestamp(&mut self.out, utc);
    }

    /// Writes a date.
    pub fn date(&mut self, value: NaiveDate) {
        time::write_date(&mut self.out, value);
    }

    /// Writes a time of day, cut to milliseconds, on the first day of 2000.
    pub fn time(&mut self, value: NaiveTime) {
        time::write_time(&mut self.out, value);
    }

    /// Writes a parsed JSON document by the rules of this writer; the order of its keys is kept.
    pub fn value(&mut self, value: &serde_json::Value) {
        document::write_value(self, value);
    }

    /// Writes a JSON document from its text by the rules of this writer: the order of its keys is kept, integers of any size stay
    /// exact. Of a key that comes twice, the first place and the last value count. Text that is not JSON is a fault, and so are more than 100 levels.
    pub fn document(&mut self, text: &str) {
        document::write_text(self, text);
    }

    /// Appends bytes as they are. They must be exactly one JSON value: nothing looks at them.
    pub fn raw(&mut self, json: &[u8]) {
        self.out.extend_from_slice(json);
    }

    /// Writes null in place of a value that has no form on the wire, and leaves the fault. `reason` goes into errors and logs, so
    /// it must not hold the value.
    pub fn refuse(&mut self, reason: &'static str) {
        self.null();
        self.fault.get_or_insert(EncodeError { attribute: String::new(), reason });
    }

    pub(super) fn displayed(&mut self, integer: impl std::fmt::Display) {
        let written = write!(self.out, "{integer}").is_ok();
        debug_assert!(written, "a vector takes all bytes");
    }

    /// A value never ends in an opening bracket, so the last byte says whether this is the first member.
    fn separate(&mut self, opening: u8) {
        if self.out.last() != Some(&opening) {
            self.out.push(b',');
        }
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
    fn commas_stand_between_members_and_elements() {
        let text = written(|out| {
            out.begin_object();
            out.attribute("a", &1);
            out.key("b");
            out.begin_array();
            for value in ["x", "[", "{"] {
                out.element();
                out.string(value);
            }
            out.end_array();
            out.key("c");
            out.begin_object();
            out.end_object();
            out.attribute("d", &None::<i64>);
            out.end_object();
        });
        assert_eq!(text, r#"{"a":1,"b":["x","[","{"],"c":{},"d":null}"#);
    }

    #[test]
    fn keys_are_escaped_as_values_are() {
        let text = written(|out| {
            out.begin_object();
            out.attribute("<k>&\u{2028}", &true);
            out.end_object();
        });
        assert_eq!(text, r#"{"\u003ck\u003e\u0026\u2028":true}"#);
    }

    #[test]
    fn what_is_not_a_number_is_null() {
        assert_eq!(written(|out| out.double(f64::NAN)), "null");
        assert_eq!(written(|out| out.double(f64::NEG_INFINITY)), "null");
        assert_eq!(written(|out| out.real(f32::INFINITY)), "null");
        assert_eq!(written(|out| out.decimal("NaN")), "null");
    }

    #[test]
    fn decimals_are_strings_and_whole_numerics_are_numbers() {
        assert_eq!(written(|out| out.decimal("10.50")), "\"10.5\"");
        assert_eq!(written(|out| out.integer_text("12345678901234567890")), "12345678901234567890");
        assert_eq!(written(|out| out.unsigned(u64::MAX)), "18446744073709551615");
        assert_eq!(written(|out| out.integer(i64::MIN)), "-9223372036854775808");
    }

    #[test]
    fn the_first_fault_names_its_attribute() {
        let mut out = JsonWriter::new();
        out.begin_object();
        out.attribute("name", "fine");
        out.attribute("picture", &vec![0xff_u8, 0]);
        out.attribute("other", &vec![0xfe_u8]);
        out.end_object();
        let error = out.finish().unwrap_err();
        assert_eq!(error.attribute, "picture");
        assert_eq!(
            error.to_string(),
            "the attribute `picture` cannot be written: its bytes are not UTF-8"
        );
        assert!(error.remedy().is_some());
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        for write in [
            |out: &mut JsonWriter| out.decimal("1,5"),
            |out: &mut JsonWriter| out.integer_text("1.5"),
        ] {
            let mut out = JsonWriter::new();
            write(&mut out);
            assert!(out.finish().is_err());
        }
    }
}
