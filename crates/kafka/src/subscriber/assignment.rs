//! The partitions that are ours, each with its queue, and how they are emptied fairly.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use super::native::Context;
use super::{Inner, PartitionBatch, Record, SubscriberEvent, TopicPartition};
use crate::{ClientConfig, Code, Error};

/// How long one seek may take; it involves no broker.
const SEEK_TIMEOUT: Duration = Duration::from_millis(500);

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
    /// librdkafka knows of it.
    fetched: bool,
    /// Where librdkafka puts its messages and errors.
    queue: Option<PartitionQueue<Context>>,
    /// What is in the queue is what the caller asked for.
    runs: bool,
    paused: bool,
    /// Offset of the next record, as far as known.
    position: i64,
    /// How often the end of the log was reached since the last record.
    ends: u64,
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
        self.find(topic, partition).map(|found| found.paused = paused)
    }

    pub(super) fn ends(&mut self, topic: &str, partition: i32) -> Result<u64, Error> {
        self.find(topic, partition).map(|found| found.ends)
    }

    pub(super) fn add(&mut self, assigned: &[TopicPartition]) {
        for TopicPartition { topic, partition } in assigned {
            self.generations += 1;
            self.partitions.push(Assigned {
                topic: topic.clone(),
                partition: *partition,
                generation: self.generations,
                fetched: false,
                queue: None,
                runs: false,
                paused: false,
                position: 0,
                ends: 0,
            });
        }
    }

    /// Forgets partitions; those that librdkafka has to forget, too.
    pub(super) fn remove(&mut self, gone: &[TopicPartition]) -> TopicPartitionList {
        let mut fetched = TopicPartitionList::new();
        self.partitions.retain(|held| {
            let goes = gone.iter().any(|g| g.topic == held.topic && g.partition == held.partition);
            if goes && held.fetched {
                fetched.add_partition(&held.topic, held.partition);
            }
            !goes
        });
        fetched
    }

    pub(super) fn close_queues(&mut self) {
        for held in &mut self.partitions {
            held.queue = None;
        }
    }

    /// One attempt to let a partition run from `at`; the inner error may be worth another one.
    ///
    /// The partition stays paused in librdkafka until it has a queue of its own, and that it can have only once its fetcher is
    /// started (which points it at the common queue): a seek succeeds from then on.
    pub(super) fn start(
        &mut self,
        inner: &Inner,
        topic: &str,
        partition: i32,
        generation: u64,
        at: Offset,
    ) -> Result<Result<(), KafkaError>, Error> {
        let found = self.find(topic, partition)?;
        if found.generation != generation {
            return Err(Error::NotAssigned { topic: topic.to_owned(), partition });
        }
        Ok(found.start(inner, at))
    }

    fn batches(
        &mut self,
        room: &mut Room,
        config: &ClientConfig,
    ) -> (Vec<SubscriberEvent>, Vec<Error>) {
        let (mut events, mut failures) = (Vec::new(), Vec::new());
        let count = self.partitions.len();
        self.turn = if count == 0 { 0 } else { (self.turn + 1) % count };
        let (behind, first) = self.partitions.split_at_mut(self.turn);
        for held in first.iter_mut().chain(behind).filter(|held| held.runs && !held.paused) {
            let (records, failure) = held.read(room, config);
            failures.extend(failure);
            if let Some(last) = records.last() {
                events.push(SubscriberEvent::Batch(PartitionBatch {
                    topic: held.topic.clone(),
                    partition: held.partition,
                    next_offset: last.offset + 1,
                    records,
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
            .ok_or_else(|| Error::NotAssigned { topic: topic.to_owned(), partition })
    }
}

impl Assigned {
    fn start(&mut self, inner: &Inner, at: Offset) -> Result<(), KafkaError> {
        let consumer = &inner.consumer;
        let mut place = TopicPartitionList::with_capacity(1);
        place.add_partition_offset(&self.topic, self.partition, at)?;
        if !self.fetched {
            // Only what librdkafka has a queue for can be paused.
            self.split(inner)?;
            consumer.pause(&place)?;
            outcome(&place)?;
            place.set_all_offsets(at)?;
            consumer.incremental_assign(&place)?;
            self.fetched = true;
        }
        outcome(&consumer.seek_partitions(place.clone(), SEEK_TIMEOUT)?)?;
        if self.queue.is_none() {
            let mut queue = self.split(inner)?;
            let wake_up = Arc::clone(&inner.ready);
            queue.set_nonempty_callback(move || wake_up.notify_one());
            self.queue = Some(queue);
        }
        consumer.resume(&place)?;
        self.position = if let Offset::Offset(offset) = at { offset } else { 0 };
        self.ends = 0;
        (self.runs, self.paused) = (true, false);
        Ok(())
    }

    fn split(&self, inner: &Inner) -> Result<PartitionQueue<Context>, KafkaError> {
        let unknown = || KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition);
        inner.consumer.split_partition_queue(&self.topic, self.partition).ok_or_else(unknown)
    }

    /// What has been fetched, as far as there is room, and the error behind it, if any.
    fn read(&mut self, room: &mut Room, config: &ClientConfig) -> (Vec<Record>, Option<Error>) {
        let mut records = Vec::new();
        let Some(queue) = &self.queue else { return (records, None) };
        while !room.is_used_up() {
            match queue.poll(Duration::ZERO) {
                None => break,
                // librdkafka may go back to the beginning once more if it is sought while it asks where that is.
                Some(Ok(message)) if message.offset() < self.position => {}
                Some(Ok(message)) => {
                    let record = Record::of(&message);
                    room.take(record.bytes());
                    self.position = record.offset + 1;
                    self.ends = 0;
                    records.push(record);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.ends += 1,
                Some(Err(error)) => {
                    if let Some(failure) = self.failure(&error, config) {
                        return (records, Some(failure));
                    }
                }
            }
        }
        (records, None)
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

/// What became of the one partition of a list.
fn outcome(list: &TopicPartitionList) -> Result<(), KafkaError> {
    list.elements().first().map_or(Ok(()), TopicPartitionListElem::error)
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
            return Ok(rebalances);
        }
        let mut waiting = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = waiting.pop_front() {
            return Err(failure);
        }
        let mut room = Room { records: max_records, bytes: max_bytes };
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
