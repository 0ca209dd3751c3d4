//! The Kafka side of Dionysus: the only crate that names librdkafka.
//!
//! librdkafka owns sockets, batching and retries, on threads of its own; this crate decides how it must be set so that
//! the guarantees of Dionysus hold, and gives its callbacks a shape that the relay and the consumer can reason about:
//!
//! - [`Publisher`]: hands messages over without waiting and reports each one back, once, to a [`DeliverySink`].
//!   Idempotent, acknowledged by all replicas in sync, gapless: order per key survives every retry.
//! - [`Subscriber`]: a member of a consumer group that starts each partition paused, where the caller says, since the
//!   truth about progress is in Postgres and not in Kafka.
//! - [`tail()`]: the last records of topics, whoever wrote them.
//! - [`Admin`]: which topics exist, creating them, what they accept.
//!
//! [`ClientConfig`] passes any property of librdkafka through, except those that a guarantee rests on.
//!
//! # Features
//! - `ssl`: TLS and SASL (SCRAM, OAUTHBEARER) towards the brokers, by the machine's OpenSSL; SASL PLAIN needs no feature.
//! - `ssl-vendored`: the same with an OpenSSL that is built from source, which takes minutes.
//! - `sasl`: Kerberos (GSSAPI), by the machine's libsasl2.

mod admin;
mod code;
mod config;
mod dispose;
mod error;
mod log;
mod publisher;
mod subscriber;
mod tail;

pub use admin::{Admin, NewTopic, TopicInfo};
pub use code::Code;
pub use config::ClientConfig;
pub use error::Error;
pub use publisher::{
    Compression, DeliveryError, DeliverySink, Disposition, OutgoingMessage, PublishError,
    Publisher, PublisherOptions,
};
pub use subscriber::{
    PartitionBatch, Record, StartAt, Subscriber, SubscriberEvent, SubscriberOptions, TopicPartition,
};
pub use tail::{last_versions, tail};
