//! What a relay can be told.

use std::collections::BTreeMap;
use std::time::Duration;

use dionysus_service::Secret;

use crate::locks;

/// The settings of a relay. All durations have a bound that [`RelayOptions::validate`] checks.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// The name in logs, in `dionysus.relays` and in `pg_stat_activity`. Default `relay`; several relays may share one.
    pub name: String,
    /// How long a lease lasts without a heartbeat, and so how long a dead relay's lanes stand still (plus at most a second).
    /// Default 10 s, at least 1 s. Heartbeats come five times as often.
    pub lease_ttl: Duration,
    /// The net beneath wake-ups. Default 2 s.
    pub poll_interval: Duration,
    /// Whether to LISTEN for wake-ups. Off behind a transaction pooler, which can't; the poll interval is the latency then. Default on.
    pub listen: bool,
    /// How often cursors are stored while busy. Default 1 s: after a crash that much is published again.
    pub checkpoint_interval: Duration,
    /// How many bytes wait in the Kafka client at most. Default 32 MiB: a second of a fast network, and most of the relay's memory.
    pub queue_bytes: usize,
    /// How many rows a read brings at most. Default 5,000: large enough that a round trip does not show, small enough
    /// that a read takes milliseconds.
    pub chunk_rows: u32,
    /// How many payload bytes a read brings, about. Default 8 MiB; row counts adapt to the sizes seen.
    pub chunk_bytes: usize,
    /// How many rows of a lane may be kept back from Kafka, refused ones and those that wait behind them. One more stops the lane, until people
    /// have looked at them. Default 10,000.
    pub quarantine_max: u64,
    /// Topics that do not exist are created. Default on. Off: the lane waits and says which command creates them.
    pub create_topics: bool,
    /// Partitions of created topics. Default 12.
    pub partitions: u32,
    /// Replicas of created topics. Default: the broker's.
    pub replication: Option<u32>,
    /// For how many days after today partitions of the outbox are made. Default 3.
    pub partitions_ahead: u32,
    /// How long rows stay in the outbox that every lane has passed; they go by days. `None`: for ever. Default 3 days.
    pub retention: Option<Duration>,
    /// Whether to go on by itself after a restore or a failover of Postgres, with a timeline of its own. Default off: the relay ends and says so,
    /// since a person should know that what was published may be missing from the database.
    pub new_timeline: bool,
    /// Redis servers, as `redis://:password@host:6379`, whose locks a relay takes beside its leases; an odd number of independent ones. Needs the
    /// feature `redlock`. Default none.
    pub redlock: Vec<Secret>,
    /// Properties for librdkafka, except those that our guarantees own.
    pub kafka_properties: BTreeMap<String, String>,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            name: "relay".into(),
            lease_ttl: Duration::from_secs(10),
            poll_interval: Duration::from_secs(2),
            listen: true,
            checkpoint_interval: Duration::from_secs(1),
            queue_bytes: 32 << 20,
            chunk_rows: 5_000,
            chunk_bytes: 8 << 20,
            quarantine_max: 10_000,
            create_topics: true,
            partitions: 12,
            replication: None,
            partitions_ahead: 3,
            retention: Some(Duration::from_hours(72)),
            new_timeline: false,
            redlock: Vec::new(),
            kafka_properties: BTreeMap::new(),
        }
    }
}

/// All faults of a set of options.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", .faults.join("; "))]
pub struct OptionsError {
    /// One line a fault: field, constraint.
    pub faults: Vec<String>,
}

impl OptionsError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        Some(
            "change the named settings; `outbox-relay --help` lists them with their defaults"
                .into(),
        )
    }
}

impl RelayOptions {
    /// Checks every field, and reports all faults at once.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn validate(&self) -> Result<(), OptionsError> {
        let mut faults = Vec::new();
        let mut bound = |ok: bool, fault: &str| {
            if !ok {
                faults.push(fault.to_owned());
            }
        };
        let within = |value: Duration, low: u64, high: u64| {
            (Duration::from_millis(low)..=Duration::from_millis(high)).contains(&value)
        };
        bound(!self.name.is_empty() && self.name.len() <= 40, "name: 1 to 40 bytes");
        bound(within(self.lease_ttl, 1_000, 600_000), "lease_ttl: 1 s to 10 min");
        bound(within(self.poll_interval, 1, 60_000), "poll_interval: 1 ms to 60 s");
        bound(within(self.checkpoint_interval, 10, 60_000), "checkpoint_interval: 10 ms to 60 s");
        bound(self.queue_bytes >= 1 << 20, "queue_bytes: at least 1 MiB");
        bound((1..=100_000).contains(&self.chunk_rows), "chunk_rows: 1 to 100,000");
        bound(self.chunk_bytes >= 64 << 10, "chunk_bytes: at least 64 KiB");
        bound((1..=1_000_000).contains(&self.quarantine_max), "quarantine_max: 1 to 1,000,000");
        bound((1..=10_000).contains(&self.partitions), "partitions: 1 to 10,000");
        bound(self.replication.is_none_or(|n| (1..=100).contains(&n)), "replication: 1 to 100");
        bound(self.partitions_ahead <= 60, "partitions_ahead: at most 60 days");
        let keep = self.retention.unwrap_or(Duration::MAX);
        bound(keep >= Duration::from_mins(1), "retention: at least 1 min");
        faults.extend(
            locks::faults(&self.redlock).into_iter().map(|fault| format!("redlock: {fault}")),
        );
        if faults.is_empty() { Ok(()) } else { Err(OptionsError { faults }) }
    }

    /// How often the lease is extended: often enough that what is left of it always covers [`RelayOptions::needed_lease`].
    pub(crate) fn heartbeat_interval(&self) -> Duration {
        self.lease_ttl / 5
    }

    /// librdkafka's `message.timeout.ms`.
    pub(crate) fn message_timeout(&self) -> Duration {
        self.lease_ttl.mul_f64(0.55)
    }

    /// Rows are handed over only while this much of the lease is left: what librdkafka holds then gives up by itself before the lease ends, whatever becomes
    /// of us. A message whose time is up is still sent if that takes less than 100 ms (librdkafka's `rd_kafka_msgset_create`).
    pub(crate) fn needed_lease(&self) -> Duration {
        self.message_timeout() + Duration::from_millis(100)
    }

    /// Without an acknowledgement for this long while something is in flight, we purge and start again at the first unacknowledged row.
    /// It has to be before [`RelayOptions::message_timeout`]: that one removes single messages and leaves a gap (design §6). librdkafka looks once a second.
    pub(crate) fn stall_timeout(&self) -> Duration {
        self.message_timeout().mul_f64(0.85)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(RelayOptions::default().validate(), Ok(()));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let options = RelayOptions {
            lease_ttl: Duration::from_millis(10),
            chunk_rows: 0,
            name: String::new(),
            ..RelayOptions::default()
        };
        let error = options.validate().unwrap_err();
        assert_eq!(error.faults.len(), 3, "{error}");
    }
}
