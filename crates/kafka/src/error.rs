//! What can go wrong between us and Kafka, each with what to do about it.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{ClientConfig, Code};

/// An error of this crate. Messages that fail one by one have [`DeliveryError`](crate::DeliveryError) and
/// [`PublishError`](crate::PublishError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration names no broker.
    #[error("no Kafka brokers are configured")]
    NoBrokers,
    /// A property was passed through that a guarantee of ours rests on.
    #[error("the Kafka property `{key}` cannot be set: {reason}")]
    OwnedProperty {
        /// The property.
        key: String,
        /// What would break.
        reason: &'static str,
        /// What to use instead.
        instead: &'static str,
    },
    /// librdkafka does not know a property or its value.
    #[error("librdkafka refuses the property `{key}`: {reason}")]
    Property {
        /// The property.
        key: String,
        /// librdkafka's words.
        reason: String,
    },
    /// librdkafka cannot make a client of this configuration.
    #[error("no Kafka client can be made: {reason}")]
    Client {
        /// librdkafka's words.
        reason: String,
    },
    /// The thread that serves a client could not be started.
    #[error("the thread of a Kafka client cannot be started")]
    Thread(#[source] std::io::Error),
    /// The runtime shut down, or a request panicked, before it was answered.
    #[error("a request to Kafka was abandoned")]
    Abandoned,
    /// No broker answered. Clients go on trying: this is worth waiting for.
    #[error("no Kafka broker answers at {brokers}")]
    Unreachable {
        /// Where they were looked for, without credentials.
        brokers: String,
        /// What librdkafka saw.
        #[source]
        source: Code,
    },
    /// A topic does not exist (or is hidden from us).
    #[error("the topic {topic} does not exist")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// A request about one topic was refused.
    #[error("Kafka refuses a request about the topic {topic}")]
    Topic {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        source: Code,
    },
    /// A request that is not about a single topic was refused.
    #[error("Kafka refuses to {request}")]
    Request {
        /// What was asked, e.g. `list topics`.
        request: &'static str,
        /// Why.
        #[source]
        source: Code,
    },
    /// The client cannot be used any more; make a new one. For a publisher: start again at the first message that is
    /// not acknowledged.
    #[error("the Kafka client cannot go on: {reason}")]
    Fatal {
        /// librdkafka's words.
        reason: String,
        /// The cause.
        #[source]
        source: Code,
    },
    /// Messages were still on their way when the time was up.
    #[error("{in_flight} messages are not acknowledged after {waited:?}")]
    Flush {
        /// How many.
        in_flight: i32,
        /// How long.
        waited: Duration,
    },
    /// A position lies before the beginning or behind the end of the log: messages were lost to this reader, or the
    /// topic was made anew.
    #[error("offset {offset} of {topic}[{partition}] lies outside the log{}", Self::range(*log))]
    OffsetOutsideLog {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where we wanted to read.
        offset: i64,
        /// First offset in the log and the one behind the last, if known.
        log: Option<(i64, i64)>,
    },
    /// The partition is not (or no longer) assigned to this subscriber. Not a fault: a rebalance was faster.
    #[error("{topic}[{partition}] is not assigned to this subscriber")]
    NotAssigned {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Reading failed in a way that does not heal by itself.
    #[error("the subscriber cannot read: {reason}")]
    Read {
        /// librdkafka's words; names the topic where it knows it.
        reason: String,
        /// The cause.
        #[source]
        source: Code,
    },
}

impl Error {
    /// What to do about it; `None` where the error belongs to the program and not to its operator.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::NoBrokers => Some("set the brokers, e.g. KAFKA_BROKERS=localhost:9092".into()),
            Self::OwnedProperty { key, instead, .. } => {
                Some(format!("remove `{key}`; instead: {instead}"))
            }
            Self::Property { key, .. } => {
                Some(format!("correct or remove `{key}` in the Kafka properties"))
            }
            Self::Client { .. } => Some("correct the Kafka properties".into()),
            Self::Unreachable { brokers, .. } => Some(format!(
                "check that the brokers run, that {brokers} and the addresses they advertise are reachable from here, \
                 and that security.protocol is theirs"
            )),
            Self::UnknownTopic { topic } => Some(format!(
                "create it with `dionysus topics create`, or check the name {topic} and the right to describe it"
            )),
            Self::Topic { source, .. }
            | Self::Request { source, .. }
            | Self::Read { source, .. } => Self::remedy_of(*source),
            Self::OffsetOutsideLog { topic, .. } => Some(format!(
                "messages are missing: start a genesis run of {topic}, and let the consumer begin at the start of the log"
            )),
            Self::Fatal { .. } => {
                Some("restart the process if it does not recover by itself".into())
            }
            Self::Flush { .. } => Some("check that the brokers run and accept messages".into()),
            Self::Thread(_) => Some("raise the limit of threads of this process".into()),
            Self::Abandoned | Self::NotAssigned { .. } => None,
        }
    }

    /// The cause as Kafka names it.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Unreachable { source, .. }
            | Self::Topic { source, .. }
            | Self::Request { source, .. }
            | Self::Fatal { source, .. }
            | Self::Read { source, .. } => Some(*source),
            Self::NoBrokers
            | Self::OwnedProperty { .. }
            | Self::Property { .. }
            | Self::Client { .. }
            | Self::Thread(_)
            | Self::Abandoned
            | Self::UnknownTopic { .. }
            | Self::Flush { .. }
            | Self::OffsetOutsideLog { .. }
            | Self::NotAssigned { .. } => None,
        }
    }

    /// Whether no broker could be reached (exit code and patience of callers depend on it).
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    pub(crate) fn about_topic(config: &ClientConfig, topic: &str, code: Code) -> Self {
        if code.is_unreachable() {
            Self::unreachable(config, code)
        } else if code.is_unknown_topic() {
            Self::UnknownTopic { topic: topic.to_owned() }
        } else {
            Self::Topic { topic: topic.to_owned(), source: code }
        }
    }

    pub(crate) fn about(config: &ClientConfig, request: &'static str, error: &KafkaError) -> Self {
        let source = Code::of(error);
        if source.is_unreachable() {
            Self::unreachable(config, source)
        } else {
            Self::Request { request, source }
        }
    }

    pub(crate) fn unreachable(config: &ClientConfig, source: Code) -> Self {
        Self::Unreachable { brokers: config.brokers_without_credentials(), source }
    }

    fn remedy_of(code: Code) -> Option<String> {
        Some(match code.0 {
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                "grant this client describe, read and write on the topic".into()
            }
            RDKafkaErrorCode::GroupAuthorizationFailed => {
                "grant this client read on the consumer group".into()
            }
            RDKafkaErrorCode::ClusterAuthorizationFailed => {
                "grant this client the right on the cluster: create (topics) or idempotent write"
                    .into()
            }
            RDKafkaErrorCode::SSL => {
                "check ssl.ca.location, and that security.protocol is the brokers'".into()
            }
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => {
                "check sasl.mechanism, sasl.username and sasl.password".into()
            }
            RDKafkaErrorCode::InvalidReplicationFactor => {
                "ask for at most as many replicas as there are brokers".into()
            }
            RDKafkaErrorCode::InvalidPartitions => "ask for at least one partition".into(),
            RDKafkaErrorCode::PolicyViolation => {
                "the cluster has a policy about topics: ask for what it allows".into()
            }
            _ => return None,
        })
    }

    fn range(log: Option<(i64, i64)>) -> String {
        log.map_or_else(String::new, |(low, high)| format!(" ({low} to {high})"))
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(_: tokio::task::JoinError) -> Self {
        Self::Abandoned
    }
}
