//! The last records of topics, without joining a group: what Kafka has of us, whatever our own memory says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dionysus_core::headers;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::{ClientConfig, Code, Error, Record, log};

/// Bytes of a partition in one fetch: a record that is larger comes all the same.
const FETCH_BYTES: &str = "65536";

/// Between two looks at the clock.
const POLL: Duration = Duration::from_millis(100);

/// Records at the end of each partition that [`last_versions`] looks at: the last may be markers of a transaction.
const RECORDS: u16 = 4;

/// What it does not see in that time it leaves out.
const LIMIT: Duration = Duration::from_secs(5);

/// The highest version near the end of each topic, which come with their numbers of partitions. Topics without a record that has our header are
/// left out.
///
/// # Cancel safety
/// Safe.
///
/// # Errors
/// As [`tail`].
pub async fn last_versions(
    config: &ClientConfig,
    topics: BTreeMap<String, u32>,
) -> Result<Vec<(String, i64)>, Error> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let highest: Arc<Mutex<BTreeMap<String, i64>>> = Arc::default();
    let into = Arc::clone(&highest);
    let see = move |topic: &str, record: &Record| {
        if let Some(version) = version(record) {
            let mut highest = into.lock().unwrap_or_else(PoisonError::into_inner);
            let known = highest.entry(topic.to_owned()).or_insert(version);
            *known = version.max(*known);
        }
    };
    if !tail(config, topics, RECORDS, LIMIT, see).await? {
        tracing::info!("not all topics were read to their end in time");
    }
    let highest = highest.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(highest.iter().map(|(topic, version)| (topic.clone(), *version)).collect())
}

fn version(record: &Record) -> Option<i64> {
    std::str::from_utf8(record.header(headers::VERSION)?).ok()?.parse().ok()
}

/// Shows the last records of each partition to `see`: at least `records` of each where it holds so many, fewer where the log ends with
/// markers of transactions. Aborted records are shown, too. Returns whether every partition was read to its end within `limit`; one that is written to
/// meanwhile may count for another of its number.
///
/// # Cancel safety
/// Safe; the client goes on until `limit`.
///
/// # Errors
/// [`Error::Request`] (no right to read, no such topic), and what is wrong with the configuration.
pub async fn tail(
    config: &ClientConfig,
    topics: BTreeMap<String, u32>,
    records: u16,
    limit: Duration,
    see: impl FnMut(&str, &Record) + Send + 'static,
) -> Result<bool, Error> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || read(&config, &topics, records, limit, see)).await?
}

/// Blocks.
fn read(
    config: &ClientConfig,
    topics: &BTreeMap<String, u32>,
    records: u16,
    limit: Duration,
    mut see: impl FnMut(&str, &Record),
) -> Result<bool, Error> {
    let deadline = Instant::now() + limit;
    let consumer: BaseConsumer<Context> = config
        .native([("receive.message.max.bytes", i32::MAX.to_string())], owned())?
        .create_with_context(Context)
        .map_err(ClientConfig::refused)?;
    // librdkafka names the partition at whose end it is, and not the topic.
    let mut unread: BTreeMap<i32, usize> = BTreeMap::new();
    let mut wanted = TopicPartitionList::new();
    for (topic, partitions) in topics {
        for partition in 0..i32::try_from(*partitions).unwrap_or(i32::MAX) {
            wanted
                .add_partition_offset(topic, partition, Offset::OffsetTail(i64::from(records)))
                .map_err(|error| Error::about_topic(config, topic, Code::of(&error)))?;
            *unread.entry(partition).or_default() += 1;
        }
    }
    consumer.assign(&wanted).map_err(|error| Error::about(config, "read topics", &error))?;
    while !unread.is_empty() && Instant::now() < deadline {
        match consumer.poll(POLL) {
            Some(Ok(message)) => see(message.topic(), &Record::of(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if let Some(count) = unread.get_mut(&partition) {
                    *count -= 1;
                }
                unread.retain(|_, count| *count > 0);
            }
            // Until the deadline it goes on by itself.
            Some(Err(error)) if Code::of(&error).is_unreachable() => {}
            Some(Err(error)) => return Err(Error::about(config, "read topics", &error)),
            None => {}
        }
    }
    Ok(unread.is_empty())
}

/// A group is only a name here: none is joined, nothing is committed.
fn owned() -> [(&'static str, String); 7] {
    [
        ("group.id", "dionysus-tail".into()),
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        ("auto.offset.reset", "earliest".into()),
        ("isolation.level", "read_uncommitted".into()),
        ("enable.partition.eof", "true".into()),
        ("max.partition.fetch.bytes", FETCH_BYTES.into()),
    ]
}

struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::forward(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::global_error(&error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Context {}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(headers: &[(&str, &str)]) -> Record {
        let headers =
            headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect();
        Record { offset: 0, timestamp_ms: None, key: None, payload: None, headers }
    }

    #[test]
    fn records_without_a_version_say_nothing() {
        assert_eq!(version(&record(&[("dionysus-version", "42")])), Some(42));
        assert_eq!(version(&record(&[("dionysus-version", "x")])), None);
        assert_eq!(version(&record(&[])), None);
    }
}
