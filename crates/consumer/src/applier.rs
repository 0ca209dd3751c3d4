//! A consumer whose records are handed over by its caller: what `dionysus-testing` puts in the place of Kafka.

use std::mem;

use dionysus_kafka::{Record, TopicPartition};
use dionysus_postgres::offsets::BEGINNING;

use crate::attempt::Trouble;
use crate::consumer::Consumer;
use crate::error::Error;
use crate::progress::Report;
use crate::worker::Shared;

/// Applies records as a worker of [`Consumer::run`] does, with the same transactions, and returns what the worker would wait for.
#[derive(Debug)]
pub struct Applier {
    shared: Shared,
}

impl Applier {
    /// Checks what [`Consumer::run`] checks first.
    ///
    /// # Errors
    /// As [`Consumer::check`].
    pub async fn new(consumer: &Consumer) -> Result<Self, Error> {
        Ok(Self { shared: consumer.shared().await? })
    }

    /// Whether the consumer reads the topic.
    pub fn reads(&self, topic: &str) -> bool {
        self.shared.routes.contains_key(topic)
    }

    /// The offset of the next record to apply; `None` before the first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn position(&self, place: &TopicPartition) -> Result<Option<i64>, Error> {
        let position = self.shared.stored(place).await?;
        Ok((position != BEGINNING).then_some(position))
    }

    /// Applies records, in order of their offsets, none of them below [`position`](Self::position). What lies before a record that can't be
    /// applied is, as in the real consumer.
    ///
    /// # Errors
    /// What [`Progress`](crate::Progress) would show as the partition's fault; [`Error::Fenced`] if somebody else moved the offset meanwhile.
    pub async fn apply(&self, place: &TopicPartition, records: &[Record]) -> Result<(), Error> {
        let mut rest = records;
        let mut position = self.shared.stored(place).await?;
        let mut limit = self.shared.batch_records;
        while !rest.is_empty() {
            match self.shared.attempt(place, position, &rest[..limit.min(rest.len())]).await {
                Ok(taken) => {
                    rest = &rest[taken.records..];
                    position = taken.position;
                    limit = limit.saturating_mul(2).min(self.shared.batch_records);
                }
                Err(Trouble::Among(count, _)) if count > 1 => limit = count / 2,
                Err(Trouble::Among(_, error) | Trouble::Wait(error)) => return Err(error),
                Err(Trouble::Fenced) => {
                    let TopicPartition { topic, partition } = place.clone();
                    return Err(Error::Fenced { topic, partition });
                }
            }
        }
        Ok(())
    }

    /// The counts since the last call.
    pub fn take_report(&self) -> Report {
        let mut report = Report::default();
        self.shared.state.send_modify(|state| report = mem::take(&mut state.report));
        report
    }
}
