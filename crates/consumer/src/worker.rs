//! One partition: from the stored offset on, one batch after the other, until it is taken away.
//!
//! A worker is the only one in its process that moves its partition's offset. It holds one batch in hand and one waiting, and the subscriber is paused
//! beyond that. What fails is tried again here, with growing waits, and hinders no other partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{PartitionBatch, Record, StartAt, Subscriber, TopicPartition};
use dionysus_postgres::offsets::{self, BEGINNING, Step};
use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::apply::{Failure, apply};
use crate::backoff::Backoff;
use crate::batch::{Batch, fill};
use crate::change::Route;
use crate::error::Error;
use crate::progress::{PartitionProgress, State};

/// How often a deadlock is met with another try before it counts as a fault.
const TRIES_MAX: u32 = 10;

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
        let position = self.stored().await?;
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
        tracing::info!(topic = %self.place.topic, partition = self.place.partition, next_offset, "partition started");
        Ok(position)
    }

    async fn stored(&self) -> Result<i64, Error> {
        let place = [(self.place.topic.as_str(), self.place.partition)];
        let stored = offsets::load(&self.shared.pool, &self.shared.group, &place).await?;
        Ok(stored.first().map_or(BEGINNING, |position| position.next_offset))
    }

    fn fault(&self, error: &Error, attempts: u32) {
        let line = error.line();
        tracing::error!(topic = %self.place.topic, partition = self.place.partition, attempts, error = %line, "partition stands still");
        self.shared.note(&self.place, |place| place.fault = Some(line));
    }
}

/// Why a batch was not applied.
enum Trouble {
    Fenced,
    /// It may be one of several records: look for it.
    Among(usize, Error),
    /// It is what it is: wait and try again.
    Wait(Error),
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
        let shared = Arc::clone(&self.worker.shared);
        let place = self.worker.place.clone();
        let Some(route) = shared.routes.get(&place.topic) else { return Ok(records.len()) };
        let batch = fill(route, records).map_err(|source| {
            let offset = records.first().map_or(0, |record| record.offset);
            let (topic, group) = (place.topic.clone(), shared.group.clone());
            Trouble::Wait(Error::Malformed {
                topic,
                partition: place.partition,
                offset,
                group,
                source,
            })
        })?;
        let step = Step {
            group: &shared.group,
            topic: &place.topic,
            partition: place.partition,
            from: self.position,
            to: batch.next_offset,
        };
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));
        let applied = loop {
            let Ok(turn) = shared.turns.acquire().await else { return Err(Trouble::Fenced) };
            let outcome = apply(&shared.pool, route, &step, &batch.rounds).await;
            drop(turn);
            match outcome {
                Ok(applied) => break applied,
                Err(Failure::Fenced) => return Err(Trouble::Fenced),
                Err(Failure::Database(error))
                    if error.is_transient() && backoff.attempts() < TRIES_MAX =>
                {
                    tracing::debug!(topic = %place.topic, partition = place.partition, "batch is tried again");
                    shared.state.send_modify(|state| state.report.retried += 1);
                }
                Err(Failure::Database(error)) => return Err(self.trouble(error, &batch, records)),
            }
            sleep(backoff.wait()).await;
        };
        self.position = batch.next_offset;
        self.backoff.reset();
        shared.state.send_modify(|state| {
            state.report.messages += u64::try_from(batch.records).unwrap_or(u64::MAX);
            state.report.batches += 1;
            state.report.applied += applied.applied;
            state.report.stale += applied.stale;
            state.report.superseded += batch.superseded;
            state.report.ignored += batch.ignored;
            let progress = state.partitions.entry(place).or_default();
            *progress = PartitionProgress { next_offset: Some(batch.next_offset), fault: None };
        });
        Ok(batch.records)
    }

    fn trouble(
        &self,
        error: dionysus_postgres::Error,
        batch: &Batch<'_>,
        records: &[Record],
    ) -> Trouble {
        if !is_about_data(&error) {
            return Trouble::Wait(Error::Database(error));
        }
        let source = error;
        let offset = records.first().map_or(0, |record| record.offset);
        let place = &self.worker.place;
        let group = self.worker.shared.group.clone();
        let error = Error::Write {
            topic: place.topic.clone(),
            partition: place.partition,
            offset,
            group,
            source,
        };
        Trouble::Among(batch.records, error)
    }

    fn fenced(&self) -> Exit {
        let place = &self.worker.place;
        let error = Error::Fenced { topic: place.topic.clone(), partition: place.partition };
        tracing::warn!(topic = %place.topic, partition = place.partition, "{error}");
        self.worker.shared.state.send_modify(|state| state.report.fenced += 1);
        Exit::Fenced
    }

    /// Whether the stored offset is no longer ours: an operator has moved it over a bad message, or another owner is at work.
    async fn was_moved(&self) -> bool {
        self.worker.stored().await.is_ok_and(|stored| stored != self.position)
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

/// Whether a smaller batch could do better: the message's values, the table's constraints, a trigger of the user's.
fn is_about_data(error: &dionysus_postgres::Error) -> bool {
    let dionysus_postgres::Error::Statement { source, .. } = error else { return false };
    let Some(database) = source.as_database_error() else { return false };
    // 21: cardinality; 22: data; 23: constraints; 27, 39, 09, P0: triggers; 44: with check option; 54: limits.
    database.code().is_some_and(|code| {
        ["09", "21", "22", "23", "27", "39", "44", "54", "P0"]
            .iter()
            .any(|class| code.starts_with(class))
    })
}
