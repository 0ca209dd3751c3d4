//! How a subscriber is tuned.

use std::time::Duration;

/// Tuning of a [`Subscriber`](crate::Subscriber).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubscriberOptions {
    /// The consumer group: all its members share the partitions. No default.
    pub group: String,
    /// How long the group waits for a member that has gone silent (died) before its partitions move. Default 10 s.
    /// Brokers allow 6 s to 30 min unless set otherwise.
    pub session_timeout: Duration,
    /// The longest time between two calls of [`next`](crate::Subscriber::next) before the group takes the partitions
    /// away. Default 5 min; at least `session_timeout`.
    pub poll_interval_max: Duration,
    /// Bytes fetched ahead per partition. Default 8 MiB: memory is bounded by this times the partitions assigned, plus
    /// one fetch each. Rounded to KiB.
    pub queue_bytes: usize,
    /// Bytes asked for per partition in one fetch. Default 1 MiB. A larger message is delivered all the same.
    pub fetch_bytes: usize,
    /// How long a broker may hold a fetch back when there is nothing to read. Default 500 ms. Does not delay messages.
    pub fetch_wait: Duration,
}

impl SubscriberOptions {
    /// The defaults, for a group.
    #[must_use]
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            session_timeout: Duration::from_secs(10),
            poll_interval_max: Duration::from_mins(5),
            queue_bytes: 8 << 20,
            fetch_bytes: 1 << 20,
            fetch_wait: Duration::from_millis(500),
        }
    }

    /// What a user's properties may override.
    pub(crate) fn defaults() -> Vec<(&'static str, String)> {
        vec![
            // The embedded broker answers a fetch with the whole rest of the log, whatever was asked for; with
            // librdkafka's 100 MB a reader further behind than that would be stuck for ever.
            ("receive.message.max.bytes", i32::MAX.to_string()),
            // A partition whose queue was full is fetched again after this; librdkafka's 1 s would cap it at
            // `queue_bytes` per second.
            ("fetch.queue.backoff.ms", "10".into()),
            // A broken batch must be an error and not a message.
            ("check.crcs", "true".into()),
        ]
    }

    /// What they may not.
    pub(crate) fn owned(&self) -> Vec<(&'static str, String)> {
        let millis = |duration: Duration| duration.as_millis().max(1).to_string();
        let heartbeat = (self.session_timeout / 4).min(Duration::from_secs(3));
        let fetch_bytes = self.fetch_bytes.clamp(1024, 512 << 20);
        vec![
            ("group.id", self.group.clone()),
            ("session.timeout.ms", millis(self.session_timeout)),
            ("heartbeat.interval.ms", millis(heartbeat)),
            ("max.poll.interval.ms", millis(self.poll_interval_max.max(self.session_timeout))),
            ("enable.auto.commit", "false".into()),
            ("enable.auto.offset.store", "false".into()),
            ("auto.offset.reset", "error".into()),
            ("isolation.level", "read_committed".into()),
            ("partition.assignment.strategy", "cooperative-sticky".into()),
            ("enable.partition.eof", "true".into()),
            ("queued.max.messages.kbytes", (self.queue_bytes / 1024).max(1).to_string()),
            ("queued.min.messages", "1000000".into()),
            ("max.partition.fetch.bytes", fetch_bytes.to_string()),
            ("fetch.wait.max.ms", self.fetch_wait.as_millis().to_string()),
        ]
    }
}
