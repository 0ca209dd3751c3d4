//! One partition: from the stored offset on, one batch after the other, until it is taken away.
//!
//! A worker is the only one in its process that moves its partition's offset. It holds one batch in hand and one waiting, and the subscriber is paused
//! beyond that. What fails is tried again here, with growing waits, and hinders no other partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{PartitionBatch, Record, StartAt, Subscriber, TopicPartition};
use dionysus_postgres::offsets::BEGINNING;
use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::attempt::Trouble;
use crate::backoff::Backoff;
use crate::change::Route;
use crate::error::Error;
use crate::observe::Observer;
use crate::progress::{PartitionProgress, State};

/// How often Kafka is told about progress, for its lag tools.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);

const FAULT_WAIT_FIRST: Duration = Duration::from_secs(1);
const FAULT_WAIT_LONGEST: Duration = Duration::from_secs(30);

/// What all workers of a consumer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) group: String,
    pub(crate) routes: HashMap<String, Route>,
    pub(crate) batch_records: usize,
    /// One permit per connection: who waits for a turn must not run into the pool's time limit.
    pub(crate) turns: Semaphore,
    pub(crate) state: watch::Sender<State>,
    pub(crate) observer: Arc<Observer>,
}

impl Shared {
    pub(crate) fn note(
        &self,
        partition: &TopicPartition,
        change: impl FnOnce(&mut PartitionProgress),
    ) {
        self.state.send_modify(|state| match state.partitions.get_mut(partition) {
            Some(progress) => change(progress),
            None => change(state.partitions.entry(partition.clone()).or_default()),
        });
    }
}

/// Why a worker ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// It was told to, or the partition is no longer ours.
    Stopped,
    /// Somebody else moved the offset: start again from there, if the partition is still ours.
    Fenced,
}

/// The owner of one partition.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) place: TopicPartition,
    pub(crate) batches: mpsc::Receiver<PartitionBatch>,
    pub(crate) stop: CancellationToken,
    /// Before anything else: a former worker was fenced.
    pub(crate) delay: Duration,
}

/// The state of a running worker.
struct Run {
    worker: Worker,
    /// What the stored offset says, by our last word.
    position: i64,
    /// Records per transaction; smaller while the one that fails is looked for.
    limit: usize,
    backoff: Backoff,
    committed: Option<Instant>,
}

impl Worker {
    /// Runs until stopped or fenced. Stops between transactions, never inside one.
    pub(crate) async fn run(self) -> Exit {
        let stop = self.stop.clone();
        if stop.run_until_cancelled(sleep(self.delay)).await.is_none() {
            return Exit::Stopped;
        }
        let mut backoff = Backoff::new(FAULT_WAIT_FIRST, FAULT_WAIT_LONGEST);
        let position = loop {
            // A start that was cut short leaves nothing behind but a subscriber that may run: its batches end with our channel.
            let Some(started) = stop.run_until_cancelled(self.start()).await else {
                return Exit::Stopped;
            };
            match started {
                Ok(position) => break position,
                Err(Error::Kafka(dionysus_kafka::Error::NotAssigned { .. })) => {
                    return Exit::Stopped;
                }
                Err(error) => {
                    self.fault(&error, backoff.attempts());
                    if stop.run_until_cancelled(sleep(backoff.wait())).await.is_none() {
                        return Exit::Stopped;
                    }
                }
            }
        };
        backoff.reset();
        let limit = self.shared.batch_records;
        Run { worker: self, position, limit, backoff, committed: None }.run().await
    }

    /// Loads the stored offset and lets the subscriber run from there.
    async fn start(&self) -> Result<i64, Error> {
        let position = self.shared.stored(&self.place).await?;
        let at = if position == BEGINNING { StartAt::Beginning } else { StartAt::Offset(position) };
        let started = self.subscriber.start_at(&self.place.topic, self.place.partition, at).await;
        started.map_err(|error| match error {
            dionysus_kafka::Error::OffsetOutsideLog { .. } => Error::OutsideLog {
                topic: self.place.topic.clone(),
                partition: self.place.partition,
                group: self.shared.group.clone(),
                source: error,
            },
            other => other.into(),
        })?;
        let next_offset = (position != BEGINNING).then_some(position);
        self.shared
            .note(&self.place, |place| *place = PartitionProgress { next_offset, fault: None });
        self.shared.observer.started(&self.place, next_offset);
        tracing::info!(topic = %self.place.topic, partition = self.place.partition, next_offset, "partition started");
        Ok(position)
    }

    fn fault(&self, error: &Error, attempts: u32) {
        let line = error.line();
        tracing::error!(topic = %self.place.topic, partition = self.place.partition, attempts, error = %line, "partition stands still");
        self.shared.observer.faulted(&self.place, &line);
        self.shared.note(&self.place, |place| place.fault = Some(line));
    }
}

impl Run {
    async fn run(mut self) -> Exit {
        let stop = self.worker.stop.clone();
        loop {
            let Some(Some(batch)) = stop.run_until_cancelled(self.worker.batches.recv()).await
            else {
                self.commit(true);
                return Exit::Stopped;
            };
            let place = &self.worker.place;
            // Now that this batch is in hand, the next may wait. A partition that was taken away meanwhile is no fault.
            if let Err(error) = self.worker.subscriber.resume(&place.topic, place.partition) {
                tracing::debug!(topic = %place.topic, partition = place.partition, error = %error, "partition not resumed");
            }
            if let Some(exit) = self.take(&batch.records).await {
                self.commit(true);
                return exit;
            }
        }
    }

    /// Applies the records, in as many transactions as it takes.
    async fn take(&mut self, mut records: &[Record]) -> Option<Exit> {
        let stop = self.worker.stop.clone();
        while !records.is_empty() {
            if stop.is_cancelled() {
                return Some(Exit::Stopped);
            }
            match self.attempt(&records[..self.limit.min(records.len())]).await {
                Ok(taken) => {
                    records = &records[taken..];
                    self.limit = self.limit.saturating_mul(2).min(self.worker.shared.batch_records);
                    self.commit(false);
                }
                Err(Trouble::Fenced) => return Some(self.fenced()),
                // Half of them, until the one that fails stands alone and can be named.
                Err(Trouble::Among(count, _)) if count > 1 => self.limit = count / 2,
                Err(Trouble::Among(_, error) | Trouble::Wait(error)) => {
                    self.worker.fault(&error, self.backoff.attempts());
                    stop.run_until_cancelled(sleep(self.backoff.wait())).await?;
                    if self.was_moved().await {
                        return Some(self.fenced());
                    }
                }
            }
        }
        None
    }

    /// One transaction; how many records it covered.
    async fn attempt(&mut self, records: &[Record]) -> Result<usize, Trouble> {
        let Worker { shared, place, .. } = &self.worker;
        let taken = shared.attempt(place, self.position, records).await?;
        self.position = taken.position;
        self.backoff.reset();
        Ok(taken.records)
    }

    fn fenced(&self) -> Exit {
        let place = &self.worker.place;
        let error = Error::Fenced { topic: place.topic.clone(), partition: place.partition };
        tracing::warn!(topic = %place.topic, partition = place.partition, "{error}");
        self.worker.shared.state.send_modify(|state| state.report.fenced += 1);
        self.worker.shared.observer.fenced(&place.topic);
        Exit::Fenced
    }

    /// Whether the stored offset is no longer ours: an operator has moved it over a bad message, or another owner is at work.
    async fn was_moved(&self) -> bool {
        let Worker { shared, place, .. } = &self.worker;
        shared.stored(place).await.is_ok_and(|stored| stored != self.position)
    }

    /// For lag tools; nothing rests on it.
    fn commit(&mut self, now: bool) {
        let due = now || self.committed.is_none_or(|last| last.elapsed() >= COMMIT_INTERVAL);
        if !due || self.position == BEGINNING {
            return;
        }
        let place = &self.worker.place;
        if let Err(error) =
            self.worker.subscriber.commit(&place.topic, place.partition, self.position)
        {
            tracing::debug!(topic = %place.topic, partition = place.partition, error = %error, "progress not told to Kafka");
        }
        self.committed = Some(Instant::now());
    }
}
