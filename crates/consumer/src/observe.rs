//! What the consumer shows of itself: metrics, health, traces.
//!
//! Workers tell the [`Observer`] what they did, once a transaction; nothing is counted per message. How much of the log waits is asked of
//! the brokers beside them (`look.rs`), and only if somebody asked for health.
//!
//! Readiness is judged by progress (`health.rs`): a partition with a fault, or one behind whose place the log goes on while nothing is
//! applied, makes the consumer unready once that has lasted for the threshold.

mod health;
mod look;
mod metrics;
mod trace;
mod view;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dionysus_core::headers;
use dionysus_kafka::{Record, TopicPartition};
use dionysus_service::{HealthLimits, MainLoop};
use tokio::time::Instant;

use crate::apply::Applied;
use crate::batch::Batch;

pub use health::ConsumerHealth;
pub(crate) use look::look;
pub(crate) use trace::batch_span;

use metrics::{Meters, TopicMeters};
use view::View;

/// Messages of a batch whose latency is measured.
const MEASURED_MAX: usize = 16;

/// One a consumer.
#[derive(Debug)]
pub(crate) struct Observer {
    meters: Meters,
    /// Those of the topics that are read: all there ever are.
    topics: HashMap<String, TopicMeters>,
    view: Mutex<View>,
    /// Set by whoever wants to know: only then the brokers are asked for the ends of logs.
    limits: OnceLock<HealthLimits>,
    main_loop: MainLoop,
}

impl Observer {
    pub(crate) fn new<'t>(topics: impl Iterator<Item = &'t str>) -> Self {
        metrics::describe();
        Self {
            meters: Meters::new(),
            topics: topics.map(|topic| (topic.to_owned(), TopicMeters::new(topic))).collect(),
            view: Mutex::new(View::new(Instant::now())),
            limits: OnceLock::new(),
            main_loop: MainLoop::begin(),
        }
    }

    /// The main loop has turned.
    pub(crate) fn turn(&self) {
        self.main_loop.turn();
    }

    pub(crate) fn stopping(&self) {
        self.view().stopping = true;
    }

    /// A partition is ours.
    pub(crate) fn assigned(&self, place: &TopicPartition) {
        let mut view = self.view();
        view.assigned(place, Instant::now());
        self.meters.partitions.set(gauge(view.partitions.len()));
    }

    /// It is somebody else's.
    pub(crate) fn given_up(&self, place: &TopicPartition) {
        let mut view = self.view();
        view.given_up(place);
        self.meters.partitions.set(gauge(view.partitions.len()));
    }

    /// It goes on from `position`, the offset of the next message, or from the beginning.
    pub(crate) fn started(&self, place: &TopicPartition, position: Option<i64>) {
        self.view().started(place, position);
    }

    /// It stands still because of this.
    pub(crate) fn faulted(&self, place: &TopicPartition, cause: &str) {
        if let Some(meters) = self.topics.get(&place.topic) {
            meters.failed.increment(1);
        }
        self.view().faulted(place, cause, Instant::now());
    }

    pub(crate) fn retried(&self, topic: &str) {
        if let Some(meters) = self.topics.get(topic) {
            meters.retries.increment(1);
        }
    }

    pub(crate) fn fenced(&self, topic: &str) {
        if let Some(meters) = self.topics.get(topic) {
            meters.fenced.increment(1);
        }
    }

    /// A transaction over the first `batch.records` of `records` has committed.
    pub(crate) fn applied(
        &self,
        place: &TopicPartition,
        batch: &Batch<'_>,
        applied: Applied,
        records: &[Record],
    ) {
        let covered = &records[..batch.records.min(records.len())];
        if let Some(meters) = self.topics.get(&place.topic) {
            meters.messages.increment(count(covered.len()));
            meters.batch.record(gauge(covered.len()));
            meters.applied.increment(applied.applied);
            meters.stale.increment(applied.stale);
            meters.superseded.increment(batch.superseded);
            meters.ignored.increment(batch.ignored);
            let now = Utc::now();
            for latency in measured(covered).filter_map(|record| age(record, now)) {
                meters.latency.record(latency.as_secs_f64());
            }
        }
        let written_ms = covered.last().and_then(|record| record.timestamp_ms);
        self.view().moved(place, batch.next_offset, written_ms, Instant::now());
    }

    /// A poisoned lock means that a panic hit between two assignments: the view is whole enough to be shown.
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Evenly spread over the batch.
fn measured(records: &[Record]) -> impl Iterator<Item = &Record> {
    records.iter().step_by(records.len().div_ceil(MEASURED_MAX).max(1))
}

/// Since its row was appended; messages of others do not say.
fn age(record: &Record, now: DateTime<Utc>) -> Option<Duration> {
    let written = std::str::from_utf8(record.header(headers::SNAPSHOT_TIME)?).ok()?;
    let written = DateTime::parse_from_rfc3339(written).ok()?;
    // Clocks differ: what seems to come from the future has just been written.
    Some((now - written.to_utc()).to_std().unwrap_or_default())
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count of ours comes near 2^53")]
fn gauge(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(snapshot_time: Option<&str>) -> Record {
        let header = |time: &str| (headers::SNAPSHOT_TIME.to_owned(), time.as_bytes().to_vec());
        Record {
            offset: 0,
            timestamp_ms: None,
            key: None,
            payload: None,
            headers: snapshot_time.map(header).into_iter().collect(),
        }
    }

    #[test]
    fn the_age_of_a_message_is_told_by_its_header() {
        let now = DateTime::parse_from_rfc3339("2023-11-14T22:13:21Z").unwrap().to_utc();
        let age_of = |time| age(&record(time), now);
        assert_eq!(age_of(Some("2023-11-14T22:13:20.500000Z")), Some(Duration::from_millis(500)));
        assert_eq!(age_of(Some("2023-11-14T22:13:22Z")), Some(Duration::ZERO));
        assert_eq!(age_of(Some("yesterday")), None);
        assert_eq!(age_of(None), None);
    }

    #[test]
    fn a_few_messages_of_a_batch_are_measured() {
        for (records, least) in [(0, 0), (1, 1), (16, 16), (17, 9), (1_000, 16)] {
            let batch = vec![record(None); records];
            let taken = measured(&batch).count();
            assert!((least..=MEASURED_MAX).contains(&taken), "{taken} of {records}");
        }
    }
}
