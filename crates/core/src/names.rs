//! Names as they appear on the wire: topics, models, events.
//!
//! Spec §2.2 and §3.1 say how they are composed; a Ruby service at the other end compares them byte by byte.

use std::fmt;

use crate::EventKind;

/// The suffix of the twin topic of a genesis replica.
pub const GENESIS_SUFFIX: &str = "_genesis";

/// Kafka allows 249 characters; a topic leaves room for [`GENESIS_SUFFIX`].
const TOPIC_LEN_MAX: usize = 249 - GENESIS_SUFFIX.len();

/// Names are indexed and logged: a bound keeps both small.
const MODEL_LEN_MAX: usize = 200;

/// A name that Kafka or the gem's rules do not allow.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A topic holds a character that Kafka does not allow, is empty, too long, `.` or `..`.
    #[error("`{name}` is not a topic name")]
    Topic {
        /// What was given, cut to 300 characters.
        name: String,
    },
    /// A model is not a sequence of identifiers joined by `::`.
    #[error("`{name}` is not a model name")]
    Model {
        /// What was given, cut to 300 characters.
        name: String,
    },
}

impl NameError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Topic { .. } => format!(
                "use 1 to {TOPIC_LEN_MAX} of the characters a-z, A-Z, 0-9, `.`, `_` and `-` for namespace and topic together"
            ),
            Self::Model { .. } => {
                "use a type name such as `Rental` or `Core::Booking`, at most 200 characters".into()
            }
        })
    }
}

/// The name of a primary Kafka topic, `<namespace>_<name>`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Topic(String);

impl Topic {
    /// Checks a full topic name.
    ///
    /// # Errors
    /// [`NameError::Topic`] if Kafka would refuse it or its genesis twin.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if (1..=TOPIC_LEN_MAX).contains(&name.len())
            && name.chars().all(legal)
            && name != "."
            && name != ".."
        {
            Ok(Self(name))
        } else {
            Err(NameError::Topic { name: name.chars().take(300).collect() })
        }
    }

    /// `<namespace>_<name>`, e.g. `v3_rentals`.
    ///
    /// # Errors
    /// As [`Topic::new`]; also when either part is empty.
    pub fn in_namespace(namespace: &str, name: &str) -> Result<Self, NameError> {
        let whole = format!("{namespace}_{name}");
        if namespace.is_empty() || name.is_empty() {
            return Err(NameError::Topic { name: whole });
        }
        Self::new(whole)
    }

    /// The twin topic of a genesis replica.
    #[must_use]
    pub fn genesis(&self) -> String {
        format!("{}{GENESIS_SUFFIX}", self.0)
    }

    /// The name as Kafka knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The name of a published domain type, as on the wire: `Rental`, `Core::Booking`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Model(String);

impl Model {
    /// Checks a model name: identifiers joined by `::`.
    ///
    /// # Errors
    /// [`NameError::Model`] otherwise.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let identifier = |part: &str| {
            part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if name.len() <= MODEL_LEN_MAX && name.split("::").all(identifier) {
            Ok(Self(name))
        } else {
            Err(NameError::Model { name: name.chars().take(300).collect() })
        }
    }

    /// The name as on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The singular, underscored form: `Core::BookingsFee` is `core_bookings_fee` (spec §3.1).
    pub fn singular(&self) -> String {
        underscore(&self.0)
    }

    /// The event name: `rental_updated`.
    pub fn event(&self, kind: EventKind) -> String {
        format!("{}_{}", self.singular(), kind.as_str())
    }

    /// The Kafka key of one instance: `Rental:1` (spec §3.3).
    pub fn key(&self, id: &str) -> String {
        format!("{}:{id}", self.0)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Rails' `underscore` with `::` as `_`: `HTMLTag` is `html_tag`, `Rental2Fee` is `rental2_fee`.
fn underscore(name: &str) -> String {
    let chars: Vec<char> = name.replace("::", "_").chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, &c) in chars.iter().enumerate() {
        if c.is_uppercase() && i > 0 {
            let before = chars[i - 1];
            let starts_word = before.is_lowercase() || before.is_ascii_digit();
            let ends_acronym =
                before.is_uppercase() && chars.get(i + 1).is_some_and(|n| n.is_lowercase());
            if starts_word || ends_acronym {
                out.push('_');
            }
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_namespace_and_name() {
        let topic = Topic::in_namespace("v3", "rentals").unwrap();
        assert_eq!(topic.as_str(), "v3_rentals");
        assert_eq!(topic.genesis(), "v3_rentals_genesis");
    }

    #[test]
    fn topics_that_kafka_refuses_are_refused() {
        for name in ["", ".", "..", "a b", "a/b", "é", &"x".repeat(242)] {
            assert!(Topic::new(name).is_err(), "{name:?}");
        }
        assert!(Topic::new("x".repeat(241)).is_ok());
        assert!(Topic::in_namespace("v3", "").is_err());
    }

    #[test]
    fn events_and_keys_are_those_of_active_model() {
        for (model, event, key) in [
            ("Rental", "rental_created", "Rental:1"),
            ("BookingsFee", "bookings_fee_created", "BookingsFee:1"),
            ("Core::Booking", "core_booking_created", "Core::Booking:1"),
            ("HTMLTag", "html_tag_created", "HTMLTag:1"),
            (
                "ExamplePublishableResource",
                "example_publishable_resource_created",
                "ExamplePublishableResource:1",
            ),
        ] {
            let model = Model::new(model).unwrap();
            assert_eq!(model.event(EventKind::Created), event);
            assert_eq!(model.key("1"), key);
        }
    }

    #[test]
    fn models_that_are_no_type_names_are_refused() {
        for name in ["", "1Rental", "Core::", "Core:Booking", "a b", "A\0"] {
            assert!(Model::new(name).is_err(), "{name:?}");
        }
    }
}
