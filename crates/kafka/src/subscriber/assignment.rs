//! The partitions that are ours, each with its queue, and how they are emptied fairly.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use super::native::Context;
use super::{Inner, PartitionBatch, Record, SubscriberEvent, TopicPartition};
use crate::{ClientConfig, Code, Error};

/// What this subscriber holds. Small (a member has tens of partitions), hence a list.
#[derive(Default)]
pub(super) struct Assignment {
    partitions: Vec<Assigned>,
    /// Which partition is emptied first next time: a busy one must not starve those behind it.
    turn: usize,
    generations: u64,
}

struct Assigned {
    topic: String,
    partition: i32,
    /// Tells this assignment from an earlier one of the same partition.
    generation: u64,
    /// Present once started.
    queue: Option<PartitionQueue<Context>>,
    paused: bool,
    /// Offset of the next record; what lies below is outdated.
    position: i64,
    /// Taken and not yet returned: messages that came through the consumer queue.
    records: Vec<Record>,
}

/// What one call of `next` may still take.
struct Room {
    records: usize,
    bytes: usize,
}

impl Assignment {
    pub(super) fn generation(&mut self, topic: &str, partition: i32) -> Result<u64, Error> {
        self.find(topic, partition).map(|found| found.generation)
    }

    pub(super) fn set_paused(
        &mut self,
        topic: &str,
        partition: i32,
        paused: bool,
    ) -> Result<(), Error> {
        self.find(topic, partition)
            .map(|found| found.paused = paused)
    }

    /// A message that came through the consumer queue: kept if its partition runs, else it will be fetched again.
    pub(super) fn stray(&mut self, message: &BorrowedMessage<'_>) {
        if let Ok(found) = self.find(message.topic(), message.partition())
            && found.queue.is_some()
        {
            found.take(message);
        }
    }

    /// Gives a partition its own queue and the position that was sought. librdkafka forwards a partition to the
    /// consumer queue when its fetcher starts, which is certain only once it could be sought: hence here.
    pub(super) fn start(
        &mut self,
        inner: &Inner,
        topic: &str,
        partition: i32,
        generation: u64,
        position: i64,
    ) -> Result<(), Error> {
        let found = self.find(topic, partition)?;
        let gone = || Error::NotAssigned {
            topic: topic.to_owned(),
            partition,
        };
        if found.generation != generation {
            return Err(gone());
        }
        if found.queue.is_none() {
            let mut queue = inner
                .consumer
                .split_partition_queue(topic, partition)
                .ok_or_else(gone)?;
            let wake_up = Arc::clone(&inner.ready);
            queue.set_nonempty_callback(move || wake_up.notify_one());
            found.queue = Some(queue);
        }
        found.position = position;
        found.records.clear();
        found.paused = false;
        Ok(())
    }

    fn apply(&mut self, event: &SubscriberEvent) {
        match event {
            SubscriberEvent::Assigned(partitions) => {
                for TopicPartition { topic, partition } in partitions {
                    self.generations += 1;
                    self.partitions.push(Assigned {
                        topic: topic.clone(),
                        partition: *partition,
                        generation: self.generations,
                        queue: None,
                        paused: false,
                        position: 0,
                        records: Vec::new(),
                    });
                }
            }
            SubscriberEvent::Revoked(gone) | SubscriberEvent::Lost(gone) => {
                self.partitions.retain(|held| {
                    !gone
                        .iter()
                        .any(|g| g.topic == held.topic && g.partition == held.partition)
                });
            }
            SubscriberEvent::Batch(_) => {}
        }
    }

    fn batches(
        &mut self,
        room: &mut Room,
        config: &ClientConfig,
    ) -> (Vec<SubscriberEvent>, Vec<Error>) {
        let (mut events, mut failures) = (Vec::new(), Vec::new());
        let count = self.partitions.len();
        self.turn = if count == 0 {
            0
        } else {
            (self.turn + 1) % count
        };
        let (behind, first) = self.partitions.split_at_mut(self.turn);
        for held in first.iter_mut().chain(behind).filter(|held| !held.paused) {
            failures.extend(held.fill(room, config));
            if let Some(last) = held.records.last() {
                events.push(SubscriberEvent::Batch(PartitionBatch {
                    topic: held.topic.clone(),
                    partition: held.partition,
                    next_offset: last.offset + 1,
                    records: std::mem::take(&mut held.records),
                }));
            }
            if room.is_used_up() {
                break;
            }
        }
        (events, failures)
    }

    fn find(&mut self, topic: &str, partition: i32) -> Result<&mut Assigned, Error> {
        self.partitions
            .iter_mut()
            .find(|held| held.partition == partition && held.topic == topic)
            .ok_or_else(|| Error::NotAssigned {
                topic: topic.to_owned(),
                partition,
            })
    }
}

impl Assigned {
    /// Empties the queue into `records`; the error it met, if any.
    fn fill(&mut self, room: &mut Room, config: &ClientConfig) -> Option<Error> {
        for record in &self.records {
            room.take(record.bytes());
        }
        let queue = self.queue.take()?;
        let mut failure = None;
        while !room.is_used_up() && failure.is_none() {
            match queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => room.take(self.take(&message)),
                Some(Err(error)) => failure = self.failure(&error, config),
            }
        }
        self.queue = Some(queue);
        failure
    }

    /// Bytes taken; 0 for an outdated message.
    fn take(&mut self, message: &BorrowedMessage<'_>) -> usize {
        if message.offset() < self.position {
            return 0;
        }
        let record = Record::of(message);
        let bytes = record.bytes();
        self.position = record.offset + 1;
        self.records.push(record);
        bytes
    }

    fn failure(&self, error: &KafkaError, config: &ClientConfig) -> Option<Error> {
        let code = Code::of(error);
        match code.0 {
            RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::OffsetOutOfRange
            | RDKafkaErrorCode::NoOffset
            | RDKafkaErrorCode::LogTruncation => Some(Error::OffsetOutsideLog {
                topic: self.topic.clone(),
                partition: self.partition,
                offset: self.position,
                log: None,
            }),
            // Fetching goes on by itself.
            _ if code.is_unreachable() => None,
            _ => Some(Error::about_topic(config, &self.topic, code)),
        }
    }
}

impl Room {
    fn take(&mut self, bytes: usize) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn is_used_up(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }
}

impl Inner {
    /// Everything that can be had without waiting; see [`Subscriber::next`](super::Subscriber::next).
    pub(super) fn collect(
        &self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<SubscriberEvent>, Error> {
        self.serve();
        let mut assignment = self.assignment();
        let rebalances = self.consumer.context().take_rebalances();
        if !rebalances.is_empty() {
            for event in &rebalances {
                assignment.apply(event);
            }
            return Ok(rebalances);
        }
        let mut waiting = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = waiting.pop_front() {
            return Err(failure);
        }
        let mut room = Room {
            records: max_records,
            bytes: max_bytes,
        };
        let (events, failures) = assignment.batches(&mut room, &self.config);
        waiting.extend(failures);
        match waiting.pop_front() {
            // Batches first: the error is met again by the next call.
            Some(failure) if !events.is_empty() => {
                waiting.push_front(failure);
                Ok(events)
            }
            Some(failure) => Err(failure),
            None => Ok(events),
        }
    }
}
