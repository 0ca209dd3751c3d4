//! A message between relay and consumer.

use std::fmt;

use dionysus_core::{Version, headers};
use dionysus_relay::Rendered;
use serde_json::Value;

/// What a row becomes: all that Kafka would be given. A test may change it, or make one by itself.
///
/// `Debug` shows key and value, on purpose.
#[derive(Clone, Eq, PartialEq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// What the partition is chosen by; without it, the key.
    pub partition_key: Option<String>,
    /// The message key, `Rental:1`.
    pub key: String,
    /// The message value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Message {
    /// The value of the first header of that name, if it is a text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The version in its headers: the number of its row. A message of the gem has none.
    pub fn version(&self) -> Option<Version> {
        self.header(headers::VERSION)?.parse().ok().map(Version)
    }

    /// The value as JSON: null for a tombstone, and for what is no JSON.
    pub fn json(&self) -> Value {
        let json = self.payload.as_deref().map(serde_json::from_slice);
        json.and_then(Result::ok).unwrap_or_default()
    }

    /// The event's name, `rental_created`.
    pub fn event(&self) -> Option<String> {
        self.json()["message"][0]["event"].as_str().map(ToOwned::to_owned)
    }

    pub(super) fn new(topic: &str, rendered: Rendered) -> Self {
        Self {
            topic: topic.to_owned(),
            partition_key: rendered.partition_key,
            key: String::from_utf8_lossy(&rendered.key).into_owned(),
            payload: rendered.payload,
            headers: rendered.headers,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name, text(value))).collect();
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("partition_key", &self.partition_key)
            .field("key", &self.key)
            .field("payload", &self.payload.as_deref().map(text))
            .field("headers", &headers)
            .finish()
    }
}
