//! The consumer as its workers and the brokers told it last: what health is judged by.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dionysus_kafka::TopicPartition;
use tokio::time::Instant;

use super::gauge;
use super::metrics::PartitionMeters;

#[derive(Debug)]
pub(super) struct View {
    pub(super) partitions: BTreeMap<TopicPartition, PartitionView>,
    pub(super) stopping: bool,
    /// The last answer of the brokers.
    pub(super) answered: Instant,
    /// What they said instead, last.
    pub(super) trouble: Option<String>,
}

#[derive(Debug)]
pub(super) struct PartitionView {
    meters: PartitionMeters,
    /// The offset of the next message to apply; `None` before the first.
    pub(super) position: Option<i64>,
    /// When something was applied last, or the partition was assigned.
    pub(super) moved: Instant,
    /// When the last applied message was written, in milliseconds since 1970.
    written_ms: Option<i64>,
    /// Since when a fault holds it, and which.
    pub(super) fault: Option<(Instant, String)>,
    pub(super) lag: u64,
    /// Since when messages wait while nothing is applied.
    pub(super) waiting_since: Option<Instant>,
    /// How often the end was reached, and where the log ended when that was seen first.
    end: Option<(u64, i64)>,
}

/// What was asked about a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// First offset in the log.
    pub(super) low: i64,
    /// The one behind its last message.
    pub(super) high: i64,
    /// How often the end was reached since the last message was read.
    pub(super) ends: u64,
}

impl View {
    pub(super) fn new(now: Instant) -> Self {
        Self { partitions: BTreeMap::new(), stopping: false, answered: now, trouble: None }
    }

    pub(super) fn assigned(&mut self, place: &TopicPartition, now: Instant) {
        self.partitions.entry(place.clone()).or_insert_with(|| PartitionView::new(place, now));
    }

    pub(super) fn given_up(&mut self, place: &TopicPartition) {
        if let Some(partition) = self.partitions.remove(place) {
            partition.meters.clear();
        }
    }

    /// A start is no progress: who starts again and again stands still.
    pub(super) fn started(&mut self, place: &TopicPartition, position: Option<i64>) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        partition.position = position;
        partition.fault = None;
        partition.meters.faulted.set(0.0);
    }

    /// Everything before `position` is applied.
    pub(super) fn moved(
        &mut self,
        place: &TopicPartition,
        position: i64,
        written_ms: Option<i64>,
        now: Instant,
    ) {
        self.started(place, Some(position));
        let Some(partition) = self.partitions.get_mut(place) else { return };
        partition.moved = now;
        partition.waiting_since = None;
        partition.written_ms = written_ms.or(partition.written_ms);
    }

    pub(super) fn faulted(&mut self, place: &TopicPartition, cause: &str, now: Instant) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        let since = partition.fault.as_ref().map_or(now, |(since, _)| *since);
        partition.fault = Some((since, cause.to_owned()));
        partition.meters.faulted.set(1.0);
    }

    /// Takes in what the brokers said.
    pub(super) fn answered(
        &mut self,
        place: &TopicPartition,
        answer: Answer,
        now: Instant,
        clock: DateTime<Utc>,
    ) {
        self.answered = now;
        self.trouble = None;
        if let Some(partition) = self.partitions.get_mut(place) {
            partition.take(answer, now, clock);
        }
    }
}

impl PartitionView {
    fn new(place: &TopicPartition, now: Instant) -> Self {
        Self {
            meters: PartitionMeters::new(place),
            position: None,
            moved: now,
            written_ms: None,
            fault: None,
            lag: 0,
            waiting_since: None,
            end: None,
        }
    }

    fn take(&mut self, answer: Answer, now: Instant, clock: DateTime<Utc>) {
        let Answer { low, high, ends } = answer;
        // Markers of transactions lie in the log and are never applied: who has read up to its end has no lag until it grows again.
        self.end = match self.end {
            _ if ends == 0 => None,
            Some((known, at)) if known == ends => Some((known, at)),
            _ => Some((ends, high)),
        };
        let behind = high.saturating_sub(self.position.map_or(low, |at| at.max(low)));
        let has_read_all = self.end.is_some_and(|(_, at)| high <= at);
        self.lag = if has_read_all { 0 } else { u64::try_from(behind).unwrap_or(0) };
        self.waiting_since = (self.lag > 0).then(|| self.waiting_since.unwrap_or(now));
        self.meters.lag.set(gauge(usize::try_from(self.lag).unwrap_or(usize::MAX)));
        self.meters.lag_seconds.set(self.lag_seconds(now, clock));
    }

    /// The age of the last applied message; of the assignment, before the first.
    fn lag_seconds(&self, now: Instant, clock: DateTime<Utc>) -> f64 {
        if self.lag == 0 {
            return 0.0;
        }
        let written = self.written_ms.and_then(DateTime::from_timestamp_millis);
        written.map_or_else(
            || now.saturating_duration_since(self.moved).as_secs_f64(),
            |written| (clock - written).to_std().unwrap_or_default().as_secs_f64(),
        )
    }

    /// For how long it has stood still though it should not, if it has.
    pub(super) fn stands_still(&self, now: Instant) -> Option<Duration> {
        let since = self.fault.as_ref().map(|(since, _)| *since).or(self.waiting_since)?;
        Some(now.saturating_duration_since(since))
    }
}
