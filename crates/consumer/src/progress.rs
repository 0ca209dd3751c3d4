//! How far a consumer is, for those who watch it: tests, health checks, the application around it.

use std::collections::BTreeMap;

use dionysus_kafka::TopicPartition;
use tokio::sync::watch;

/// Counts since the start of a consumer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Messages whose transaction committed.
    pub messages: u64,
    /// Transactions that committed.
    pub batches: u64,
    /// Records written to a replica, or removed from it.
    pub applied: u64,
    /// Records that a guard refused: the replica holds something newer, or knows of a delete.
    pub stale: u64,
    /// Records left out because a newer one of the same instance came in the same batch.
    pub superseded: u64,
    /// Records and events that nothing is mapped to, or that have no id.
    pub ignored: u64,
    /// Transactions that were tried again after a deadlock.
    pub retried: u64,
    /// Batches that found their partition's offset moved by somebody else.
    pub fenced: u64,
}

/// Where one partition stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PartitionProgress {
    /// Everything below this offset is in the replicas. `None` before the first.
    pub next_offset: Option<i64>,
    /// Why it stands still, in one line with the remedy.
    pub fault: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) report: Report,
    pub(crate) partitions: BTreeMap<TopicPartition, PartitionProgress>,
}

/// A view of a consumer's progress. Cheap to clone; outlives the consumer.
#[derive(Clone, Debug)]
pub struct Progress {
    state: watch::Receiver<State>,
}

impl Progress {
    pub(crate) const fn new(state: watch::Receiver<State>) -> Self {
        Self { state }
    }

    /// The counts so far.
    pub fn report(&self) -> Report {
        self.state.borrow().report
    }

    /// The partitions that are, or once were, ours.
    pub fn partitions(&self) -> BTreeMap<TopicPartition, PartitionProgress> {
        self.state.borrow().partitions.clone()
    }

    /// Waits until everything below `next_offset` of a partition is in the replicas. `false`: the consumer ended before.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn applied(&self, topic: &str, partition: i32, next_offset: i64) -> bool {
        self.until(|_, partitions| {
            place(partitions, topic, partition)
                .is_some_and(|place| place.next_offset >= Some(next_offset))
        })
        .await
    }

    /// Waits until a partition stands still; why, in one line. `None`: the consumer ended before.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn faulted(&self, topic: &str, partition: i32) -> Option<String> {
        let mut fault = None;
        self.until(|_, partitions| {
            fault = place(partitions, topic, partition).and_then(|place| place.fault.clone());
            fault.is_some()
        })
        .await;
        fault
    }

    /// Waits until the condition holds. `false`: the consumer ended before.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn until(
        &self,
        mut condition: impl FnMut(&Report, &BTreeMap<TopicPartition, PartitionProgress>) -> bool,
    ) -> bool {
        let mut state = self.state.clone();
        state.wait_for(|state| condition(&state.report, &state.partitions)).await.is_ok()
    }
}

fn place<'p>(
    partitions: &'p BTreeMap<TopicPartition, PartitionProgress>,
    topic: &str,
    partition: i32,
) -> Option<&'p PartitionProgress> {
    partitions.get(&TopicPartition { topic: topic.to_owned(), partition })
}
