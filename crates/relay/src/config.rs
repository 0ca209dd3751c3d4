//! The configuration of the binary, and how it becomes options.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::RelayOptions;

/// What `outbox-relay --config FILE` reads. Every field has the default of [`RelayOptions`]; each can be set by the environment as well, as
/// `DIONYSUS_<FIELD>`, with `__` between levels: `DIONYSUS_KAFKA__BROKERS`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RelayConfig {
    /// The name in logs, in `dionysus.relays` and in `pg_stat_activity`.
    pub name: String,
    /// Postgres.
    pub database: DatabaseConfig,
    /// Kafka.
    pub kafka: KafkaConfig,
    /// The lease.
    pub lease: LeaseConfig,
    /// Reading the outbox.
    pub outbox: OutboxConfig,
    /// Topics that do not exist.
    pub topics: TopicsConfig,
}

/// Where the outbox is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`. The variable `DATABASE_URL` and the flag `--database-url` win over it.
    pub url: Secret,
}

/// Where messages go.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// `host:port`, separated by commas. The variable `KAFKA_BROKERS` and the flag `--brokers` win over it.
    pub brokers: String,
    /// Bytes that wait in the client at most.
    pub queue_bytes: usize,
    /// Properties for librdkafka, except those that a guarantee rests on.
    pub properties: BTreeMap<String, String>,
}
