//! What all clients share, and which properties of librdkafka are not for sale.
//!
//! Users tune librdkafka through a map of its own properties. Some of them would quietly undo a guarantee (`acks=1`, an
//! offset that commits itself): those are refused, with the reason and the setting of ours that replaces them.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::{ClientConfig as NativeConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

use crate::Error;

/// Where the brokers are and how to talk to them.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct ClientConfig {
    /// `host:port`, several separated by commas: where to ask for the others. No default.
    pub brokers: String,
    /// Names this client in the brokers' logs, quotas and metrics, e.g. `dionysus-relay`. librdkafka's default
    /// (`rdkafka`) if empty.
    pub client_id: String,
    /// Properties of librdkafka, passed through (security above all: `security.protocol`, `sasl.*`, `ssl.*`). Those
    /// that a guarantee rests on are refused with [`Error::OwnedProperty`].
    pub properties: BTreeMap<String, String>,
}

impl ClientConfig {
    /// A configuration that says only where the brokers are.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), ..Self::default() }
    }

    /// Says whether every property may be passed through. The constructors of the clients call it; call it earlier to
    /// report faults of a configuration at once.
    ///
    /// # Errors
    /// [`Error::NoBrokers`] if `brokers` is blank; [`Error::OwnedProperty`] for the first property that is ours.
    pub fn check(&self) -> Result<(), Error> {
        if self.brokers.split(',').all(|broker| broker.trim().is_empty()) {
            return Err(Error::NoBrokers);
        }
        for key in self.properties.keys() {
            if let Some(&(_, reason, instead)) =
                OWNED.iter().find(|(keys, ..)| keys.contains(&key.as_str()))
            {
                return Err(Error::OwnedProperty { key: key.clone(), reason, instead });
            }
        }
        Ok(())
    }

    /// The brokers as they may appear in messages: without anything that looks like `user:password@`.
    pub fn brokers_without_credentials(&self) -> String {
        let bare = |broker: &str| {
            let (scheme, rest) = match broker.split_once("://") {
                Some((scheme, rest)) => (format!("{scheme}://"), rest),
                None => (String::new(), broker),
            };
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}{}", host.trim())
        };
        self.brokers.split(',').map(|broker| bare(broker.trim())).collect::<Vec<_>>().join(",")
    }

    /// librdkafka's configuration: our defaults, the user's properties over them, what our guarantees own over all.
    pub(crate) fn native<'a>(
        &self,
        defaults: impl IntoIterator<Item = (&'a str, String)>,
        owned: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<NativeConfig, Error> {
        self.check()?;
        let mut native = NativeConfig::new();
        native.set_log_level(if tracing::enabled!(target: "librdkafka", tracing::Level::TRACE) {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        // A broker that comes back is found within a second instead of librdkafka's ten.
        native.set("reconnect.backoff.max.ms", "1000");
        for (key, value) in defaults {
            native.set(key, value);
        }
        for (key, value) in &self.properties {
            native.set(key, value);
        }
        native.set("bootstrap.servers", &self.brokers);
        if !self.client_id.is_empty() {
            native.set("client.id", &self.client_id);
        }
        for (key, value) in owned {
            native.set(key, value);
        }
        Ok(native)
    }

    /// What librdkafka objects to when a client is made.
    pub(crate) fn refused(error: KafkaError) -> Error {
        match error {
            KafkaError::ClientConfig(_, _, key, _) if is_secret(&key) => {
                Error::Property { reason: "its value is not valid".into(), key }
            }
            KafkaError::ClientConfig(_, reason, key, _) => Error::Property { key, reason },
            KafkaError::ClientCreation(reason) => Error::Client { reason },
            other => Error::Client { reason: other.to_string() },
        }
    }
}

/// Names of properties, not their values: those hold passwords.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("brokers", &self.brokers_without_credentials())
            .field("client_id", &self.client_id)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

fn is_secret(key: &str) -> bool {
    ["password", "secret", "jaas", "pem", "oauthbearer.config"]
        .iter()
        .any(|part| key.contains(part))
}

/// (properties, why they are ours, what replaces them).
const OWNED: &[(&[&str], &str, &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "it has a setting of its own", "`brokers`"),
    (&["client.id"], "it has a setting of its own", "`client_id`"),
    (
        &["enable.idempotence"],
        "without it a retry can duplicate and reorder messages of a key",
        "always on",
    ),
    (
        &["acks", "request.required.acks"],
        "a row counts as published only when all replicas in sync hold it",
        "always `all`; `min.insync.replicas` is a setting of the topic",
    ),
    (
        &["enable.gapless.guarantee"],
        "without it a message that fails lets later ones of its key pass",
        "always on",
    ),
    (
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        "idempotence keeps order for at most 5 requests in flight",
        "always 5",
    ),
    (
        &["retries", "message.send.max.retries"],
        "giving up early would break the order of a key; time is what limits retries",
        "`message_timeout`",
    ),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "it must stay below the lease of a lane, or a stale owner could publish after its successor",
        "`message_timeout`",
    ),
    (
        &["partitioner"],
        "instances stay where the partition key puts them, also beside other producers",
        "the partition key of a model or topic",
    ),
    (
        &["transactional.id", "transaction.timeout.ms"],
        "the transactional id fences owners of a lane",
        "not settable",
    ),
    (
        &["allow.auto.create.topics"],
        "a topic that creates itself has the wrong number of partitions and no compaction",
        "`dionysus topics create`, or the relay's setting that creates topics",
    ),
    (
        &["queue.buffering.max.messages", "queue.buffering.max.kbytes"],
        "it has a setting of its own",
        "`queue_messages`, `queue_bytes`",
    ),
    (
        &[
            "linger.ms",
            "queue.buffering.max.ms",
            "batch.size",
            "batch.num.messages",
            "compression.codec",
            "compression.type",
        ],
        "it has a setting of its own",
        "`linger`, `batch_bytes`, `batch_messages`, `compression`",
    ),
    (&["group.id"], "it has a setting of its own", "`group`"),
    (
        &["enable.auto.commit", "enable.auto.offset.store"],
        "progress is stored in Postgres together with its effect; an offset that commits itself skips messages after a crash",
        "always off",
    ),
    (
        &["auto.offset.reset"],
        "an offset that is no longer in the log means lost messages and must not be passed over",
        "always `error`; a genesis run brings a replica up to date again",
    ),
    (
        &["isolation.level"],
        "messages of aborted transactions must not reach a replica",
        "always `read_committed`",
    ),
    (
        &["partition.assignment.strategy", "group.protocol"],
        "partitions are handed over one by one, without stopping the others",
        "always `cooperative-sticky`",
    ),
    (&["enable.partition.eof"], "the end of a log is what lag is judged by", "always on"),
    (
        &["session.timeout.ms", "max.poll.interval.ms", "heartbeat.interval.ms"],
        "it has a setting of its own",
        "`session_timeout`, `poll_interval_max`",
    ),
    (
        &["queued.max.messages.kbytes", "queued.min.messages"],
        "it has a setting of its own",
        "`queue_bytes`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_a_guarantee_rests_on_is_refused_with_reason_and_replacement() {
        let mut config = ClientConfig::new("localhost:9092");
        config.properties.insert("acks".into(), "1".into());
        let error = config.check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the Kafka property `acks` cannot be set: a row counts as published only when all replicas in sync hold it"
        );
        assert_eq!(
            error.remedy().unwrap(),
            "remove `acks`; instead: always `all`; `min.insync.replicas` is a setting of the topic"
        );
    }

    #[test]
    fn each_owned_property_is_known_to_librdkafka() {
        for key in OWNED.iter().flat_map(|(keys, ..)| keys.iter()) {
            let known = NativeConfig::new().create_native_config().unwrap().get(key);
            // Properties of topics, and those without a value, cannot be read from an empty configuration: setting
            // them to nonsense tells "no such property" from "not a valid value".
            if known.is_err() {
                let error = NativeConfig::new().set(*key, "\u{1}").create_native_config().err();
                let unknown =
                    error.is_some_and(|e| e.to_string().contains("No such configuration property"));
                assert!(!unknown, "{key}");
            }
        }
    }

    #[test]
    fn other_properties_pass_and_ours_win() {
        let mut config = ClientConfig::new("localhost:9092");
        config.properties.insert("socket.keepalive.enable".into(), "true".into());
        config.properties.insert("receive.message.max.bytes".into(), "1000000".into());
        let native = config
            .native(
                [("receive.message.max.bytes", "2147483647".to_owned())],
                [("acks", "all".to_owned())],
            )
            .unwrap();
        assert_eq!(native.get("socket.keepalive.enable"), Some("true"));
        assert_eq!(native.get("receive.message.max.bytes"), Some("1000000"));
        assert_eq!(native.get("acks"), Some("all"));
    }

    #[test]
    fn brokers_are_shown_without_credentials() {
        let config = ClientConfig::new("SASL_SSL://user:hunter2@a:9092, b:9092");
        assert_eq!(config.brokers_without_credentials(), "SASL_SSL://a:9092,b:9092");
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let mut config = ClientConfig::new("u:hunter2@a:9092");
        config.properties.insert("sasl.password".into(), "hunter2".into());
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn no_brokers_is_an_error() {
        assert!(matches!(ClientConfig::new(" , ").check(), Err(Error::NoBrokers)));
    }
}
