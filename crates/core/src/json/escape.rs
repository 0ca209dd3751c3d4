//! Strings as ActiveSupport escapes them.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The first byte of U+2028 and U+2029, and of much else.
const LINE_SEPARATOR_LEAD: u8 = 0xe2;

/// Bytes that cannot be copied without a look.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'&' as usize] = true;
    table[LINE_SEPARATOR_LEAD as usize] = true;
    table
};

/// Appends `text` in quotes.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        if !SPECIAL[usize::from(bytes[at])] {
            at += 1;
            continue;
        }
        let length = escaped_length(&bytes[at..]);
        if length > 0 {
            out.extend_from_slice(&bytes[copied..at]);
            write_escape(out, &bytes[at..at + length]);
            copied = at + length;
        }
        at += length.max(1);
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// How many bytes the character has that begins here, 0 if it is written as it is.
fn escaped_length(rest: &[u8]) -> usize {
    match rest {
        [LINE_SEPARATOR_LEAD, 0x80, 0xa8 | 0xa9, ..] => 3,
        [LINE_SEPARATOR_LEAD, ..] => 0,
        _ => 1,
    }
}

fn write_escape(out: &mut Vec<u8>, character: &[u8]) {
    match character {
        [LINE_SEPARATOR_LEAD, _, 0xa8] => out.extend_from_slice(b"\\u2028"),
        [LINE_SEPARATOR_LEAD, ..] => out.extend_from_slice(b"\\u2029"),
        b"\"" => out.extend_from_slice(b"\\\""),
        b"\\" => out.extend_from_slice(b"\\\\"),
        b"\x08" => out.extend_from_slice(b"\\b"),
        b"\t" => out.extend_from_slice(b"\\t"),
        b"\n" => out.extend_from_slice(b"\\n"),
        b"\x0c" => out.extend_from_slice(b"\\f"),
        b"\r" => out.extend_from_slice(b"\\r"),
        _ => {
            let byte = usize::from(character[0]);
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[byte >> 4], HEX[byte & 0xf]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn markup_and_line_separators_are_escaped_in_lower_case_hex() {
        assert_eq!(
            escaped("<a href=\"x\">&amp;'</a> / \\ \u{2028}\u{2029} żółw 日本 😀"),
            r#""\u003ca href=\"x\"\u003e\u0026amp;'\u003c/a\u003e / \\ \u2028\u2029 żółw 日本 😀""#
        );
    }

    #[test]
    fn controls_have_short_forms_where_json_has_them() {
        assert_eq!(
            escaped("a\tb\nc\rd\u{8}e\u{c}f\u{1}\u{1f}\0"),
            r#""a\tb\nc\rd\be\ff\u0001\u001f\u0000""#
        );
    }

    #[test]
    fn delete_slash_and_no_break_space_stay_raw() {
        assert_eq!(escaped("/\u{7f}\u{a0}\u{2027}\u{202a}€"), "\"/\u{7f}\u{a0}\u{2027}\u{202a}€\"");
        assert_eq!(escaped(""), "\"\"");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_unchanged(text in any::<String>()) {
            let written = escaped(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
            let raw = written.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
            prop_assert!(!raw);
        }
    }
}
