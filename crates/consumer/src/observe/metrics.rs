//! Every metric of the consumer. `docs/reference/metrics.md` is the page for people; a test compares the two.

use dionysus_kafka::TopicPartition;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

const MESSAGES: &str = "dionysus_consumer_messages_total";
const RECORDS: &str = "dionysus_consumer_records_total";
const BATCH: &str = "dionysus_consumer_batch_messages";
const LATENCY: &str = "dionysus_consumer_apply_latency_seconds";
const RETRIES: &str = "dionysus_consumer_retries_total";
const FENCED: &str = "dionysus_consumer_fenced_total";
const LAG: &str = "dionysus_consumer_lag_messages";
const LAG_SECONDS: &str = "dionysus_consumer_lag_seconds";
const FAULTED: &str = "dionysus_consumer_partition_faulted";
const PARTITIONS: &str = "dionysus_consumer_partitions";
const READY: &str = "dionysus_consumer_ready";

const TOPIC: &str = "topic";

/// What concerns the consumer as a whole.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) partitions: Gauge,
    pub(super) ready: Gauge,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self { partitions: gauge!(PARTITIONS), ready: gauge!(READY) }
    }
}

/// What concerns a topic; made once.
#[derive(Debug)]
pub(super) struct TopicMeters {
    pub(super) messages: Counter,
    pub(super) applied: Counter,
    pub(super) stale: Counter,
    pub(super) superseded: Counter,
    pub(super) ignored: Counter,
    pub(super) failed: Counter,
    pub(super) batch: Histogram,
    pub(super) latency: Histogram,
    pub(super) retries: Counter,
    pub(super) fenced: Counter,
}

impl TopicMeters {
    pub(super) fn new(topic: &str) -> Self {
        let topic = || topic.to_owned();
        let records =
            |outcome: &'static str| counter!(RECORDS, TOPIC => topic(), "outcome" => outcome);
        Self {
            messages: counter!(MESSAGES, TOPIC => topic()),
            applied: records("applied"),
            stale: records("stale"),
            superseded: records("superseded"),
            ignored: records("ignored"),
            failed: records("failed"),
            batch: histogram!(BATCH, TOPIC => topic()),
            latency: histogram!(LATENCY, TOPIC => topic()),
            retries: counter!(RETRIES, TOPIC => topic()),
            fenced: counter!(FENCED, TOPIC => topic()),
        }
    }
}

/// What concerns a partition; made when it is assigned.
#[derive(Clone, Debug)]
pub(super) struct PartitionMeters {
    pub(super) lag: Gauge,
    pub(super) lag_seconds: Gauge,
    pub(super) faulted: Gauge,
}

impl PartitionMeters {
    pub(super) fn new(place: &TopicPartition) -> Self {
        let labels = [(TOPIC, place.topic.clone()), ("partition", place.partition.to_string())];
        Self {
            lag: gauge!(LAG, &labels),
            lag_seconds: gauge!(LAG_SECONDS, &labels),
            faulted: gauge!(FAULTED, &labels),
        }
    }

    /// The partition is somebody else's now: what it shows here must not look like the present.
    pub(super) fn clear(&self) {
        for gauge in [&self.lag, &self.lag_seconds, &self.faulted] {
            gauge.set(0.0);
        }
    }
}

/// Says what they are. Short: the page has the rest.
pub(super) fn describe() {
    describe_counter!(MESSAGES, "Messages whose transaction has committed.");
    describe_counter!(RECORDS, "Records by what became of them.");
    describe_histogram!(BATCH, "Messages of a transaction.");
    describe_histogram!(
        LATENCY,
        Unit::Seconds,
        "From a row's append to the commit that applied it; up to 16 messages of a batch are measured."
    );
    describe_counter!(RETRIES, "Transactions tried again after a deadlock.");
    describe_counter!(FENCED, "Batches that found the offset moved by somebody else.");
    describe_gauge!(LAG, "Messages between what is applied and the end of the log.");
    describe_gauge!(
        LAG_SECONDS,
        Unit::Seconds,
        "Age of the last applied message while others wait."
    );
    describe_gauge!(FAULTED, "1 while a fault holds the partition.");
    describe_gauge!(PARTITIONS, "Partitions that are ours.");
    describe_gauge!(READY, "1 while /readyz says so.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_metric_and_no_other() {
        dionysus_service::testing::assert_metrics_page("outbox-consumer", || {
            describe();
            let place = TopicPartition { topic: "v3_rentals".into(), partition: 0 };
            drop((Meters::new(), TopicMeters::new("v3_rentals"), PartitionMeters::new(&place)));
        });
    }
}
