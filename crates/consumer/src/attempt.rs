//! One try to apply what comes next in a partition: as many records as fit one transaction.
//!
//! What a failure means is decided here; what is done about it (wait, look for the record among fewer, give up) is the caller's.

use std::time::Duration;

use dionysus_kafka::{Record, TopicPartition};
use dionysus_postgres::offsets::{self, BEGINNING, Step};
use tokio::time::sleep;

use crate::apply::{Failure, apply};
use crate::backoff::Backoff;
use crate::batch::{Batch, fill};
use crate::error::Error;
use crate::observe::batch_span;
use crate::progress::PartitionProgress;
use crate::worker::Shared;

/// How often a deadlock is met with another try before it counts as a fault.
const TRIES_MAX: u32 = 10;

/// How far a transaction went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    /// Records that it covers, from the first.
    pub(crate) records: usize,
    /// What the stored offset says now.
    pub(crate) position: i64,
}

/// Why a batch was not applied.
#[derive(Debug)]
pub(crate) enum Trouble {
    Fenced,
    /// It may be one of several records: look for it.
    Among(usize, Error),
    /// It is what it is: wait and try again.
    Wait(Error),
}

impl Shared {
    /// What the partition's stored offset says.
    pub(crate) async fn stored(&self, place: &TopicPartition) -> Result<i64, Error> {
        let places = [(place.topic.as_str(), place.partition)];
        let stored = offsets::load(&self.pool, &self.group, &places).await?;
        Ok(stored.first().map_or(BEGINNING, |position| position.next_offset))
    }

    /// One transaction over the first of these records, of which there must be one. `position`: what the stored offset says, by our last word.
    pub(crate) async fn attempt(
        &self,
        place: &TopicPartition,
        position: i64,
        records: &[Record],
    ) -> Result<Taken, Trouble> {
        let Some(route) = self.routes.get(&place.topic) else {
            return Ok(Taken { records: records.len(), position });
        };
        let first = records.first().map_or(0, |record| record.offset);
        let batch = fill(route, records).map_err(|source| {
            let (topic, group) = (place.topic.clone(), self.group.clone());
            let partition = place.partition;
            Trouble::Wait(Error::Malformed { topic, partition, offset: first, group, source })
        })?;
        let _span = batch_span(place, &records[..batch.records]);
        let step = Step {
            group: &self.group,
            topic: &place.topic,
            partition: place.partition,
            from: position,
            to: batch.next_offset,
        };
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(500));
        let applied = loop {
            let Ok(turn) = self.turns.acquire().await else { return Err(Trouble::Fenced) };
            let outcome = apply(&self.pool, route, &step, &batch.rounds).await;
            drop(turn);
            match outcome {
                Ok(applied) => break applied,
                Err(Failure::Fenced) => return Err(Trouble::Fenced),
                Err(Failure::Database(error))
                    if error.is_transient() && backoff.attempts() < TRIES_MAX =>
                {
                    tracing::debug!(topic = %place.topic, partition = place.partition, "batch is tried again");
                    self.state.send_modify(|state| state.report.retried += 1);
                    self.observer.retried(&place.topic);
                }
                Err(Failure::Database(error)) => {
                    return Err(self.trouble(error, &batch, place, first));
                }
            }
            sleep(backoff.wait()).await;
        };
        self.observer.applied(place, &batch, applied, records);
        self.state.send_modify(|state| {
            state.report.messages += u64::try_from(batch.records).unwrap_or(u64::MAX);
            state.report.batches += 1;
            state.report.applied += applied.applied;
            state.report.stale += applied.stale;
            state.report.superseded += batch.superseded;
            state.report.ignored += batch.ignored;
            let progress = state.partitions.entry(place.clone()).or_default();
            *progress = PartitionProgress { next_offset: Some(batch.next_offset), fault: None };
        });
        Ok(Taken { records: batch.records, position: batch.next_offset })
    }

    fn trouble(
        &self,
        error: dionysus_postgres::Error,
        batch: &Batch<'_>,
        place: &TopicPartition,
        offset: i64,
    ) -> Trouble {
        if !is_about_data(&error) {
            return Trouble::Wait(Error::Database(error));
        }
        let (topic, group, source) = (place.topic.clone(), self.group.clone(), error);
        let error = Error::Write { topic, partition: place.partition, offset, group, source };
        Trouble::Among(batch.records, error)
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
