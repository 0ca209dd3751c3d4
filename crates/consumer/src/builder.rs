//! Describing a consumer; everything that can be wrong without a server is found by [`ConsumerBuilder::build`], all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dionysus_core::{GENESIS_SUFFIX, ReplicaMapping, Topic};
use dionysus_kafka::{ClientConfig, SubscriberOptions};
use sqlx::PgPool;
use tokio::sync::watch;

use crate::consumer::Consumer;
use crate::error::Error;
use crate::observe::Observer;

/// A batch is one transaction. At a thousand records the round trips of its statements no longer count; more only holds locks for longer.
pub(crate) const BATCH_RECORDS: usize = 1_000;

/// Bounds memory (each partition holds up to two batches) and the length of a transaction when messages are large.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// A consumer that is being described. Made by [`Consumer::builder`].
#[derive(Debug)]
#[must_use]
pub struct ConsumerBuilder {
    pool: PgPool,
    client: ClientConfig,
    options: SubscriberOptions,
    topics: Vec<(String, Vec<ReplicaMapping>)>,
    batch_records: usize,
    batch_bytes: usize,
}

impl ConsumerBuilder {
    pub(crate) fn new(pool: PgPool, client: ClientConfig) -> Self {
        Self {
            pool,
            client,
            options: SubscriberOptions::new(""),
            topics: Vec::new(),
            batch_records: BATCH_RECORDS,
            batch_bytes: BATCH_BYTES,
        }
    }

    /// The consumer group: its members share the partitions, and its name is what progress is stored under. No default.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.options.group = group.into();
        self
    }

    /// A topic to read, and what its models are mapped to. At least one.
    pub fn topic(
        mut self,
        topic: impl Into<String>,
        replicas: impl IntoIterator<Item = ReplicaMapping>,
    ) -> Self {
        self.topics.push((topic.into(), replicas.into_iter().collect()));
        self
    }

    /// The most messages of one transaction. Default 1,000.
    pub fn batch_records(mut self, records: usize) -> Self {
        self.batch_records = records;
        self
    }

    /// The most bytes of messages of one transaction, but for a single one. Default 4 MiB. A partition holds up to two batches in memory.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// How long the group waits for a member that has gone silent before others take its partitions over. Default 10 s; brokers allow 6 s to 30 min.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.options.session_timeout = timeout;
        self
    }

    /// Checks the description. No server is asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault.
    pub fn build(mut self) -> Result<Consumer, Error> {
        let faults = self.faults();
        if !faults.is_empty() {
            return Err(Error::Invalid { faults });
        }
        // A topic that appears later is seen after this; librdkafka's five minutes are long for somebody who waits, and one request
        // in two seconds is nothing to a broker.
        let refresh = self.client.properties.entry("topic.metadata.refresh.interval.ms".into());
        refresh.or_insert_with(|| "2000".into());
        let observer = Observer::new(self.topics.iter().map(|(name, _)| name.as_str()));
        Ok(Consumer {
            pool: self.pool,
            client: self.client,
            options: self.options,
            topics: self.topics,
            batch_records: self.batch_records,
            batch_bytes: self.batch_bytes,
            state: watch::Sender::default(),
            observer: Arc::new(observer),
        })
    }

    fn faults(&self) -> Vec<String> {
        let topics: Vec<_> = self
            .topics
            .iter()
            .map(|(name, replicas)| (name.as_str(), replicas.as_slice()))
            .collect();
        let problems = problems(&self.options.group, self.batch_records, self.batch_bytes, &topics);
        let client = self.client.check().err().map(|error| format!("kafka: {error}"));
        client
            .into_iter()
            .chain(problems.into_iter().map(|(field, problem)| format!("{field}: {problem}")))
            .collect()
    }
}

/// Everything that is wrong with a description: the field, and the problem.
pub(crate) fn problems(
    group: &str,
    batch_records: usize,
    batch_bytes: usize,
    topics: &[(&str, &[ReplicaMapping])],
) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, field: &'static str, problem: &str| {
        if !holds {
            problems.push((field, problem.to_owned()));
        }
    };
    require(!group.trim().is_empty(), "group", "a consumer group needs a name");
    require(batch_records > 0, "batch_records", "must be at least 1");
    require(batch_bytes > 0, "batch_bytes", "must be at least 1");
    require(!topics.is_empty(), "topics", "at least one is needed");
    let mut seen = BTreeSet::new();
    for (topic, replicas) in topics {
        require(
            Topic::new(*topic).is_ok() || is_twin(topic),
            "topics",
            &format!("`{topic}` is not a topic name"),
        );
        require(seen.insert(topic), "topics", &format!("`{topic}` is there twice"));
        require(!replicas.is_empty(), "topics", &format!("`{topic}` maps no model"));
        for problem in mapping_problems(replicas) {
            require(false, "topics", &format!("`{topic}`: {problem}"));
        }
    }
    problems
}

/// The genesis twin of a topic may be longer than a topic of ours.
fn is_twin(topic: &str) -> bool {
    topic.strip_suffix(GENESIS_SUFFIX).is_some_and(|primary| Topic::new(primary).is_ok())
}

fn mapping_problems(replicas: &[ReplicaMapping]) -> Vec<String> {
    let (mut models, mut sideloads) = (BTreeSet::new(), BTreeMap::new());
    let mut problems = Vec::new();
    for mapping in replicas {
        let model = &mapping.model;
        if let Err(error) = mapping.validate() {
            problems.extend(error.faults.iter().map(|fault| format!("{model}: {fault}")));
        }
        if !models.insert(model) {
            problems.push(format!("{model}: the model is mapped twice"));
        }
        for name in &mapping.sideloaded_as {
            if let Some(other) = sideloads.insert(name, model) {
                problems.push(format!("{model}: `{name}` is sideloaded as {other} already"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> ConsumerBuilder {
        let pool = PgPool::connect_lazy("postgres://localhost/none").unwrap();
        Consumer::builder(pool, ClientConfig::new("localhost:9092"))
    }

    #[tokio::test]
    async fn every_fault_of_a_description_is_reported_at_once() {
        let mut fee = ReplicaMapping::new("Fee", "fees");
        fee.sideloaded_as = vec!["fees".into()];
        let other = ReplicaMapping { model: "Tax".into(), ..fee.clone() };
        let error = builder()
            .topic("v3 rentals", [])
            .topic("v3_fees", [fee.clone(), fee.clone(), other])
            .topic("v3_fees", [ReplicaMapping::new("no model", "x")])
            .batch_records(0)
            .batch_bytes(0)
            .build()
            .unwrap_err();
        let Error::Invalid { faults } = &error else { panic!("{error:?}") };
        for part in [
            "group:",
            "batch_records:",
            "batch_bytes:",
            "`v3 rentals` is not a topic name",
            "`v3 rentals` maps no model",
            "`v3_fees` is there twice",
            "Fee: the model is mapped twice",
            "Tax: `fees` is sideloaded as Fee already",
            "`no model` is not a model name",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(part)), "{part}: {faults:#?}");
        }
        assert!(error.remedy().is_some());
    }

    #[tokio::test]
    async fn a_twin_topic_may_be_read() {
        let rental = ReplicaMapping::new("Rental", "rentals");
        builder()
            .group("g")
            .topic(format!("{}_genesis", "x".repeat(241)), [rental])
            .build()
            .unwrap();
    }
}
