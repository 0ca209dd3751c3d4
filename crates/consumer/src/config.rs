//! The configuration of the binary.

use std::time::Duration;

use dionysus_core::ReplicaMapping;
use dionysus_kafka::{ClientConfig, SubscriberOptions};
use dionysus_service::{Config, DatabaseConfig, Faults, HttpConfig, KafkaConfig, LogConfig};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::builder::{BATCH_BYTES, BATCH_RECORDS, problems};
use crate::consumer::Consumer;
use crate::error::Error;

/// What `outbox-consumer --config FILE` reads. Sections of the other binaries may stand in the same file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerConfig {
    /// The database that the replicas live in: section `[database]`.
    pub database: DatabaseConfig,
    /// The Kafka cluster: section `[kafka]`.
    pub kafka: KafkaConfig,
    /// Logs: section `[log]`.
    pub log: LogConfig,
    /// Health and metrics: section `[http]`.
    pub http: HttpConfig,
    /// What is read, and where it goes.
    pub consumer: ConsumerSection,
}

/// What is read, and where it goes: section `[consumer]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerSection {
    /// The consumer group: its members share the partitions, and progress is stored under its name. No default.
    pub group: String,
    /// The client id, in the brokers' logs and quotas. Default `outbox-consumer`.
    pub client_id: String,
    /// The most messages of one transaction. Default 1000.
    pub batch_records: usize,
    /// The most bytes of messages of one transaction, but for a single one. A partition holds up to two batches in memory. Default 4194304.
    pub batch_bytes: usize,
    /// How long the group waits for a member that has gone silent before others take its partitions over. Brokers allow 6 s to 30 min. Default 10 s.
    #[serde(with = "dionysus_service::duration")]
    pub session_timeout: Duration,
    /// The topics, each with its replicas: `[[consumer.topics]]`. At least one.
    pub topics: Vec<TopicConfig>,
}

/// A topic: `[[consumer.topics]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TopicConfig {
    /// Its name in Kafka: `v3_rentals`.
    pub name: String,
    /// What its models are mapped to: `[[consumer.topics.replicas]]`. At least one.
    pub replicas: Vec<ReplicaMapping>,
}

impl Default for ConsumerSection {
    fn default() -> Self {
        Self {
            group: String::new(),
            client_id: "outbox-consumer".into(),
            batch_records: BATCH_RECORDS,
            batch_bytes: BATCH_BYTES,
            session_timeout: SubscriberOptions::new("").session_timeout,
            topics: Vec::new(),
        }
    }
}

impl Config for ConsumerConfig {
    fn check(&self, faults: &mut Faults) {
        self.database.check(faults);
        self.kafka.check(faults);
        self.log.check(faults);
        self.http.check(faults);
        // What only librdkafka can tell; missing brokers were told above.
        if let Err(error) = self.client().check()
            && !matches!(error, dionysus_kafka::Error::NoBrokers)
        {
            faults.add("kafka.properties", error.to_string());
        }
        let section = &self.consumer;
        let topics: Vec<_> = section
            .topics
            .iter()
            .map(|topic| (topic.name.as_str(), topic.replicas.as_slice()))
            .collect();
        for (field, problem) in
            problems(&section.group, section.batch_records, section.batch_bytes, &topics)
        {
            faults.add(format!("consumer.{field}"), problem);
        }
    }
}

impl ConsumerConfig {
    /// The consumer that is described here.
    ///
    /// # Errors
    /// [`Error::Invalid`], unless the configuration was [checked](Config::check).
    pub fn consumer(&self, pool: PgPool) -> Result<Consumer, Error> {
        let section = &self.consumer;
        let mut builder = Consumer::builder(pool, self.client())
            .group(&section.group)
            .batch_records(section.batch_records)
            .batch_bytes(section.batch_bytes)
            .session_timeout(section.session_timeout);
        for topic in &section.topics {
            builder = builder.topic(&topic.name, topic.replicas.iter().cloned());
        }
        builder.build()
    }

    /// The Kafka client that is described here.
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            brokers: self.kafka.brokers.clone(),
            client_id: self.consumer.client_id.clone(),
            properties: self.kafka.exposed_properties(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dionysus_service::{Overrides, load_config};
    use std::path::Path;

    #[test]
    fn the_example_is_a_configuration_and_names_every_setting() {
        let path =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/outbox-consumer.toml"));
        let config: ConsumerConfig = load_config(Some(path), &Overrides::default()).unwrap();
        assert_eq!(config.consumer.topics.len(), 2);
        let text = std::fs::read_to_string(path).unwrap();
        let example: toml::Table = toml::from_str(&text).unwrap();
        let defaults = toml::Table::try_from(ConsumerConfig::default()).unwrap();
        for (section, settings) in &defaults {
            for key in settings.as_table().unwrap().keys() {
                assert!(example[section].as_table().unwrap().contains_key(key), "{section}.{key}");
            }
        }
        // What the example calls a default is one.
        let written = ConsumerConfig::default().consumer;
        assert_eq!(config.consumer.batch_records, written.batch_records);
        assert_eq!(config.consumer.batch_bytes, written.batch_bytes);
        assert_eq!(config.consumer.session_timeout, written.session_timeout);
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let file = tempfile(
            r#"
            [consumer]
            batch_record = 5
            batch_bytes = 0
            [[consumer.topics]]
            name = "v3 rentals"
            replicas = [{ model = "Rental", table = "a.b.c" }]
            "#,
        );
        let error =
            load_config::<ConsumerConfig>(Some(file.path()), &Overrides::default()).unwrap_err();
        let places: Vec<&str> = error.faults.iter().map(|fault| fault.place.as_str()).collect();
        for place in
            ["consumer.batch_record", "consumer.batch_bytes", "consumer.group", "consumer.topics"]
        {
            assert!(places.contains(&place), "{place}: {places:?}");
        }
        assert!(error.to_string().contains("did you mean `batch_records`?"), "{error}");
    }

    #[test]
    fn an_unknown_field_of_a_mapping_is_a_fault() {
        let file = tempfile(
            r#"
            [[consumer.topics]]
            name = "v3_rentals"
            replicas = [{ model = "Rental", table = "rentals", colums = [] }]
            "#,
        );
        let error =
            load_config::<ConsumerConfig>(Some(file.path()), &Overrides::default()).unwrap_err();
        assert!(error.to_string().contains("colums"), "{error}");
    }

    fn tempfile(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }
}
