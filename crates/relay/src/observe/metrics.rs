//! Every metric of the relay. `docs/reference/metrics.md` is the page for people; a test compares the two.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

const PUBLISHED: &str = "dionysus_relay_rows_published_total";
const BYTES: &str = "dionysus_relay_handed_over_bytes_total";
const LATENCY: &str = "dionysus_relay_publish_latency_seconds";
const REFUSED: &str = "dionysus_relay_refused_total";
const QUARANTINED: &str = "dionysus_relay_quarantined_rows";
const OWNED: &str = "dionysus_relay_lane_owned";
const BLOCKED: &str = "dionysus_relay_lane_blocked";
const EPOCH: &str = "dionysus_relay_lane_epoch";
const PENDING: &str = "dionysus_relay_pending_rows";
const OLDEST: &str = "dionysus_relay_oldest_pending_age_seconds";
const IN_FLIGHT: &str = "dionysus_relay_in_flight_messages";
const CHECKPOINTS: &str = "dionysus_relay_checkpoints_total";
const REBUILDS: &str = "dionysus_relay_rebuilds_total";
const RELOADS: &str = "dionysus_relay_reloads_total";
const LEASED: &str = "dionysus_relay_leased";
const LEASE_LOSSES: &str = "dionysus_relay_lease_losses_total";
const RELAYS: &str = "dionysus_relay_relays";
const UNOWNED: &str = "dionysus_relay_lanes_unowned";
const READY: &str = "dionysus_relay_ready";

/// The one label of a lane's metrics.
const TOPIC: &str = "topic";

/// Why the Kafka client was made anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rebuild {
    /// A message was not delivered.
    Delivery,
    /// The client can't go on.
    Fatal,
    /// Nothing was acknowledged for too long.
    Stall,
    /// A topic accepts less than its batches held.
    BatchSize,
}

impl Rebuild {
    const ALL: [Self; 4] = [Self::Delivery, Self::Fatal, Self::Stall, Self::BatchSize];

    const fn label(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Fatal => "fatal",
            Self::Stall => "stall",
            Self::BatchSize => "batch_size",
        }
    }
}

/// What concerns the relay as a whole.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) in_flight: Gauge,
    pub(super) checkpoints: Counter,
    pub(super) reloads: Counter,
    pub(super) leased: Gauge,
    pub(super) lease_losses: Counter,
    pub(super) relays: Gauge,
    pub(super) unowned: Gauge,
    pub(super) ready: Gauge,
    rebuilds: [Counter; 4],
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            in_flight: gauge!(IN_FLIGHT),
            checkpoints: counter!(CHECKPOINTS),
            reloads: counter!(RELOADS),
            leased: gauge!(LEASED),
            lease_losses: counter!(LEASE_LOSSES),
            relays: gauge!(RELAYS),
            unowned: gauge!(UNOWNED),
            ready: gauge!(READY),
            rebuilds: Rebuild::ALL.map(|why| counter!(REBUILDS, "cause" => why.label())),
        }
    }

    pub(super) fn rebuilt(&self, why: Rebuild) {
        self.rebuilds[why as usize].increment(1);
    }
}

/// What concerns a lane; made once when it is claimed.
#[derive(Clone, Debug)]
pub(crate) struct LaneMeters {
    pub(crate) published: Counter,
    pub(crate) bytes: Counter,
    pub(crate) refused: Counter,
    pub(crate) latency: Histogram,
    quarantined: Gauge,
    pub(super) owned: Gauge,
    pub(super) blocked: Gauge,
    pub(super) epoch: Gauge,
    pub(super) pending: Gauge,
    pub(super) oldest: Gauge,
}

impl LaneMeters {
    pub(crate) fn new(topic: &str) -> Self {
        let topic = || topic.to_owned();
        Self {
            published: counter!(PUBLISHED, TOPIC => topic()),
            bytes: counter!(BYTES, TOPIC => topic()),
            refused: counter!(REFUSED, TOPIC => topic()),
            latency: histogram!(LATENCY, TOPIC => topic()),
            quarantined: gauge!(QUARANTINED, TOPIC => topic()),
            owned: gauge!(OWNED, TOPIC => topic()),
            blocked: gauge!(BLOCKED, TOPIC => topic()),
            epoch: gauge!(EPOCH, TOPIC => topic()),
            pending: gauge!(PENDING, TOPIC => topic()),
            oldest: gauge!(OLDEST, TOPIC => topic()),
        }
    }

    /// So many rows are kept back.
    pub(crate) fn quarantined(&self, rows: u64) {
        #[expect(clippy::cast_precision_loss, reason = "bounded far below 2^52")]
        self.quarantined.set(rows as f64);
    }

    /// The lane is somebody else's now: what it shows here must not look like the present.
    pub(super) fn clear(&self) {
        let Self { quarantined, owned, blocked, epoch, pending, oldest, .. } = self;
        for gauge in [quarantined, owned, blocked, epoch, pending, oldest] {
            gauge.set(0.0);
        }
    }
}

/// Says what they are. Short: the page has the rest.
pub(super) fn describe() {
    describe_counter!(PUBLISHED, "Rows that Kafka has acknowledged, on all topics they go to.");
    describe_counter!(
        BYTES,
        Unit::Bytes,
        "Bytes handed to the Kafka client, repetitions included."
    );
    describe_histogram!(
        LATENCY,
        Unit::Seconds,
        "From a row's append to its acknowledgement by Kafka; at most one row a millisecond and lane is measured."
    );
    describe_counter!(
        REFUSED,
        "Rows that were refused and set aside, and times a lane stopped at one."
    );
    describe_gauge!(
        QUARANTINED,
        "Rows kept back from Kafka: refused ones, and those that wait behind them."
    );
    describe_gauge!(OWNED, "1 while this relay owns the lane.");
    describe_gauge!(BLOCKED, "1 while a cause of its own stops the lane.");
    describe_gauge!(EPOCH, "How many owners the lane has had.");
    describe_gauge!(PENDING, "Rows behind the acknowledged place, counted up to 10,000.");
    describe_gauge!(OLDEST, Unit::Seconds, "Age of the oldest row behind the acknowledged place.");
    describe_gauge!(IN_FLIGHT, "Messages that wait for their acknowledgement.");
    describe_counter!(CHECKPOINTS, "Times that places were stored.");
    describe_counter!(REBUILDS, "Times the Kafka client was made anew, by cause.");
    describe_counter!(RELOADS, "Times that the stored places were read again.");
    describe_gauge!(LEASED, "1 while this relay holds a lease.");
    describe_counter!(LEASE_LOSSES, "Leases that ran out.");
    describe_gauge!(RELAYS, "Relays whose lease runs, by the last heartbeat.");
    describe_gauge!(UNOWNED, "Lanes without an owner, by the last heartbeat.");
    describe_gauge!(READY, "1 while /readyz says so.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_metric_and_no_other() {
        dionysus_service::testing::assert_metrics_page("outbox-relay", || {
            describe();
            drop((Meters::new(), LaneMeters::new("v3_rentals")));
        });
    }

    #[test]
    fn each_cause_of_a_rebuild_has_its_own_count() {
        for (index, why) in Rebuild::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, index);
        }
    }
}
