//! The raw log of a topic: every record of every partition, as a reader with no memory sees it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use dionysus_core::headers;
use dionysus_kafka::{
    Admin, ClientConfig, Record, StartAt, Subscriber, SubscriberEvent, SubscriberOptions,
};
use uuid::Uuid;

/// One record of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogRecord {
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// When it was handed to the Kafka client, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The message key.
    pub key: String,
    /// The value; empty for a tombstone.
    pub payload: Vec<u8>,
    /// The header `dionysus-version`.
    pub version: i64,
    /// The header `dionysus-event-id`.
    pub event_id: Uuid,
}

/// Reading makes no progress for longer than this only if something is wrong.
const STUCK: Duration = Duration::from_secs(30);

/// Reads a topic from its beginning up to the end it has now, in order of offsets per partition. A topic that does not exist is empty.
///
/// # Errors
/// When the topic can't be read, or a record lacks our headers.
pub async fn read_log(brokers: &str, topic: &str) -> Result<Vec<LogRecord>> {
    let mut records = read(brokers, topic, |partition, record| decode(partition, &record)).await?;
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

/// Reads a topic as [`read_log`] does, and gives its records as they are, with their partitions.
///
/// # Errors
/// When the topic can't be read.
pub async fn read_records(brokers: &str, topic: &str) -> Result<Vec<(i32, Record)>> {
    let mut records = read(brokers, topic, |partition, record| Ok((partition, record))).await?;
    records.sort_by_key(|(partition, record)| (*partition, record.offset));
    Ok(records)
}

async fn read<T>(
    brokers: &str,
    topic: &str,
    keep: impl Fn(i32, Record) -> Result<T>,
) -> Result<Vec<T>> {
    let config = ClientConfig::new(brokers);
    let Some(info) = Admin::new(&config)?.topics().await?.remove(topic) else {
        return Ok(Vec::new());
    };
    let group = format!("log-reader-{}", Uuid::new_v4());
    let subscriber = Subscriber::new(&config, &SubscriberOptions::new(group))?;
    let mut ends = HashMap::new();
    for partition in 0..i32::try_from(info.partitions)? {
        let (first, end) = subscriber.watermarks(topic, partition).await?;
        if end > first {
            ends.insert(partition, end);
        }
    }
    subscriber.subscribe(&[topic.to_owned()])?;
    let mut records = Vec::new();
    let mut progress = Instant::now();
    while !ends.is_empty() {
        if progress.elapsed() > STUCK {
            bail!("{topic}: stuck after {} records, partitions {ends:?} are unread", records.len());
        }
        for event in subscriber.next(10_000, 64 << 20, Duration::from_millis(200)).await? {
            match event {
                SubscriberEvent::Assigned(partitions) => {
                    for it in partitions {
                        subscriber.start_at(topic, it.partition, StartAt::Beginning).await?;
                    }
                }
                SubscriberEvent::Batch(batch) => {
                    progress = Instant::now();
                    if ends.get(&batch.partition).is_some_and(|end| batch.next_offset >= *end) {
                        ends.remove(&batch.partition);
                    }
                    for record in batch.records {
                        records.push(keep(batch.partition, record)?);
                    }
                }
                SubscriberEvent::Revoked(_) | SubscriberEvent::Lost(_) => {}
            }
        }
    }
    subscriber.close().await;
    Ok(records)
}

fn decode(partition: i32, record: &Record) -> Result<LogRecord> {
    let text = |name| -> Result<&str> {
        let value = record.header(name).with_context(|| format!("record without header {name}"))?;
        Ok(std::str::from_utf8(value)?)
    };
    Ok(LogRecord {
        partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms.context("record without timestamp")?,
        version: text(headers::VERSION)?.parse()?,
        event_id: text(headers::EVENT_ID)?.parse()?,
        key: String::from_utf8(record.key.clone().unwrap_or_default())?,
        payload: record.payload.clone().unwrap_or_default(),
    })
}
