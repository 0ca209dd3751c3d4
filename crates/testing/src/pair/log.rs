//! The log: partitions with offsets, in memory.

use std::collections::BTreeMap;

use dionysus_consumer::{Applier, TopicPartition};
use dionysus_core::partition_of;
use dionysus_kafka::Record;

use crate::{Error, Message};

/// A message in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogRecord {
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// What it is.
    pub message: Message,
}

#[derive(Debug)]
pub(super) struct Log {
    partitions: u32,
    /// In the order of their coming.
    records: Vec<LogRecord>,
    ends: BTreeMap<TopicPartition, End>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    /// The next record's offset.
    next: i64,
    /// Everything below is applied.
    applied: i64,
}

impl Log {
    pub(super) const fn new(partitions: u32) -> Self {
        Self { partitions, records: Vec::new(), ends: BTreeMap::new() }
    }

    pub(super) fn records(&self) -> &[LogRecord] {
        &self.records
    }

    /// Puts a message behind the last one of its partition. A partition of which an earlier pair has applied something goes on from there, or the consumer
    /// would take the messages for those that it has.
    pub(super) async fn append(
        &mut self,
        message: Message,
        applier: &Applier,
    ) -> Result<(), Error> {
        let partition = partition(&message, self.partitions);
        let place = TopicPartition { topic: message.topic.clone(), partition };
        let end = match self.ends.get(&place) {
            Some(end) => *end,
            None if applier.reads(&place.topic) => {
                let from = applier.position(&place).await?.unwrap_or(0);
                End { next: from, applied: from }
            }
            None => End { next: 0, applied: 0 },
        };
        self.ends.insert(place, End { next: end.next + 1, ..end });
        self.records.push(LogRecord { partition, offset: end.next, message });
        Ok(())
    }

    /// Applies each partition up to its end.
    pub(super) async fn apply(&mut self, applier: &Applier) -> Result<(), Error> {
        let mut outcome = Ok(());
        for (place, end) in &mut self.ends {
            if end.applied == end.next || !applier.reads(&place.topic) {
                continue;
            }
            // Asked anew: an operator may have moved it over a message that can't be applied.
            let from = applier.position(place).await?.unwrap_or(0);
            let waiting: Vec<Record> = self
                .records
                .iter()
                .filter(|it| it.partition == place.partition && it.message.topic == place.topic)
                .filter(|it| it.offset >= from)
                .map(LogRecord::record)
                .collect();
            // One partition that stands still holds up no other.
            match applier.apply(place, &waiting).await {
                Ok(()) => end.applied = end.next,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        Ok(outcome?)
    }
}

impl LogRecord {
    fn record(&self) -> Record {
        Record {
            offset: self.offset,
            timestamp_ms: None,
            key: Some(self.message.key.clone().into_bytes()),
            payload: self.message.payload.clone(),
            headers: self.message.headers.clone(),
        }
    }
}

/// The publisher's choice: by the gem's rule for a partition key, and by librdkafka's `consistent_random` for the key of a message without one.
fn partition(message: &Message, partitions: u32) -> i32 {
    let chosen = match &message.partition_key {
        Some(key) => partition_of(key, partitions),
        None => crc32fast::hash(message.key.as_bytes()) % partitions.max(1),
    };
    i32::try_from(chosen).unwrap_or(i32::MAX)
}
