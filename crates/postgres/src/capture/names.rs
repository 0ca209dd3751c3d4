//! The names of what is installed, and what stands between quotes.

use crate::replicas::quoted;

/// Longer names are cut by Postgres without a word.
const NAME_BYTES_MAX: usize = 63;

/// The function and the trigger of a topic's model, quoted.
#[derive(Debug)]
pub(super) struct Names {
    /// `dionysus."capture v3_rentals Rental"`
    pub(super) function: String,
    /// `"0 dionysus v3_rentals Rental"`: row triggers fire by name.
    pub(super) trigger: String,
}

impl Names {
    pub(super) fn new(topic: &str, model: &str) -> Self {
        let named = |prefix| quoted(&shortened(&format!("{prefix} {topic} {model}")));
        Self { function: format!("dionysus.{}", named("capture")), trigger: named("0 dionysus") }
    }
}

/// Cut to what Postgres takes; a number keeps names apart that begin alike.
fn shortened(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let number = format!(" {:016x}", fnv1a(name.as_bytes()));
    let end = name.floor_char_boundary(NAME_BYTES_MAX - number.len());
    format!("{}{number}", &name[..end])
}

/// The same for ever, unlike the hash of the standard library: a trigger must be found again by a later version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A text as a literal, whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" e'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// A text as part of a comment, which ends with its line.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_topic_and_model() {
        let names = Names::new("v3_rentals", "Core::Rental");
        assert_eq!(names.function, "dionysus.\"capture v3_rentals Core::Rental\"");
        assert_eq!(names.trigger, "\"0 dionysus v3_rentals Core::Rental\"");
    }

    #[test]
    fn long_names_stay_apart() {
        let long = "é".repeat(60);
        let (one, other) = (Names::new(&long, "A"), Names::new(&long, "B"));
        assert_ne!(one.function, other.function);
        assert_ne!(one.trigger, other.trigger);
        for name in [one.trigger, other.trigger] {
            assert!((60..=NAME_BYTES_MAX + 2).contains(&name.len()), "{name}");
        }
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn nothing_gets_out_of_a_literal_or_a_comment() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'; drop"), " e'\\\\''; drop'");
        assert_eq!(comment("a\nb\rc\u{85}d"), "a b c d");
    }
}
