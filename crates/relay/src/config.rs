//! The configuration of the binary, and how it becomes options.

use std::time::Duration;

use dionysus_service::{
    Config, DatabaseConfig, Faults, HttpConfig, KafkaConfig, LogConfig, RetentionConfig, Secret,
    duration,
};
use serde::{Deserialize, Serialize};

use crate::{RelayOptions, locks};

/// What `outbox-relay --config FILE` reads; [`RelayOptions`] says what each setting does. Defaults are those of the options.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RelayConfig {
    /// Where the outbox is.
    pub database: DatabaseConfig,
    /// Where messages go.
    pub kafka: KafkaConfig,
    /// Where log lines go.
    pub log: LogConfig,
    /// Who may ask how it is.
    pub http: HttpConfig,
    /// How long published rows stay in the outbox.
    pub retention: RetentionConfig,
    /// The relay itself.
    pub relay: RelaySection,
    /// Locks in Redis, beside the leases.
    pub redlock: RedlockSection,
}

/// Section `[redlock]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedlockSection {
    /// See [`RelayOptions::redlock`].
    pub servers: Vec<Secret>,
}

/// Section `[relay]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RelaySection {
    /// See [`RelayOptions::name`].
    pub name: String,
    /// See [`RelayOptions::lease_ttl`].
    #[serde(with = "duration")]
    pub lease_ttl: Duration,
    /// See [`RelayOptions::poll_interval`].
    #[serde(with = "duration")]
    pub poll_interval: Duration,
    /// See [`RelayOptions::listen`].
    pub listen: bool,
    /// See [`RelayOptions::checkpoint_interval`].
    #[serde(with = "duration")]
    pub checkpoint_interval: Duration,
    /// See [`RelayOptions::queue_bytes`].
    pub queue_bytes: usize,
    /// See [`RelayOptions::chunk_rows`].
    pub chunk_rows: u32,
    /// See [`RelayOptions::chunk_bytes`].
    pub chunk_bytes: usize,
    /// See [`RelayOptions::partitions_ahead`].
    pub partitions_ahead: u32,
    /// See [`RelayOptions::new_timeline`].
    pub new_timeline: bool,
    /// See [`RelayOptions::quarantine_max`].
    pub quarantine_max: u64,
    /// See [`RelayOptions::create_topics`].
    pub create_topics: bool,
    /// See [`RelayOptions::partitions`].
    pub partitions: u32,
    /// See [`RelayOptions::replication`]; 0: the broker's.
    pub replication: u32,
}

impl Default for RelaySection {
    fn default() -> Self {
        let options = RelayOptions::default();
        Self {
            name: options.name,
            lease_ttl: options.lease_ttl,
            poll_interval: options.poll_interval,
            listen: options.listen,
            checkpoint_interval: options.checkpoint_interval,
            queue_bytes: options.queue_bytes,
            chunk_rows: options.chunk_rows,
            chunk_bytes: options.chunk_bytes,
            partitions_ahead: options.partitions_ahead,
            new_timeline: options.new_timeline,
            quarantine_max: options.quarantine_max,
            create_topics: options.create_topics,
            partitions: options.partitions,
            replication: options.replication.unwrap_or(0),
        }
    }
}

impl RelayConfig {
    /// The options that the library takes.
    pub fn options(&self) -> RelayOptions {
        let section = self.relay.clone();
        RelayOptions {
            name: section.name,
            lease_ttl: section.lease_ttl,
            poll_interval: section.poll_interval,
            listen: section.listen,
            checkpoint_interval: section.checkpoint_interval,
            queue_bytes: section.queue_bytes,
            chunk_rows: section.chunk_rows,
            chunk_bytes: section.chunk_bytes,
            quarantine_max: section.quarantine_max,
            create_topics: section.create_topics,
            partitions: section.partitions,
            replication: Some(section.replication).filter(|n| *n > 0),
            partitions_ahead: section.partitions_ahead,
            retention: self.retention.kept(),
            new_timeline: section.new_timeline,
            redlock: self.redlock.servers.clone(),
            kafka_properties: self.kafka.exposed_properties(),
        }
    }
}

impl Config for RelayConfig {
    fn check(&self, faults: &mut Faults) {
        self.database.check(faults);
        self.kafka.check(faults);
        self.log.check(faults);
        self.http.check(faults);
        self.retention.check(faults);
        for fault in locks::faults(&self.redlock.servers) {
            faults.add("redlock.servers", fault);
        }
        // What is wrong with these two was just told.
        let options = RelayOptions { retention: None, redlock: Vec::new(), ..self.options() };
        if let Err(error) = options.validate() {
            for fault in error.faults {
                let (field, problem) = fault.split_once(": ").unwrap_or(("", &fault));
                faults.add(format!("relay.{field}"), problem);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In either build: this one has no locks in Redis, or the text is no URL.
    #[test]
    fn servers_that_can_not_be_used_are_a_fault_of_their_own_section() {
        let mut config = RelayConfig::default();
        let without = faults(&config);
        config.redlock.servers = vec![Secret::new("hunter2")];
        let told = faults(&config);
        assert!(!without.contains("redlock") && told.contains("redlock.servers"), "{told}");
        assert!(!told.contains("relay.redlock") && !told.contains("hunter2"), "{told}");
    }

    fn faults(config: &RelayConfig) -> String {
        let mut faults = Faults::default();
        config.check(&mut faults);
        format!("{faults:?}")
    }
}
