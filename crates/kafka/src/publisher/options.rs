//! How a publisher is tuned.

use std::time::Duration;

/// Tuning of a [`Publisher`](crate::Publisher). Guarantees do not depend on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublisherOptions {
    /// How long a message may wait for its acknowledgement, retries included, before it fails. Default 8 s. Must be
    /// shorter than a lane's lease, so that nothing of a stale owner is sent after its successor has begun, and longer
    /// than `linger`. librdkafka looks once a second.
    pub message_timeout: Duration,
    /// Bytes that may wait in the queue or be in flight. Default 64 MiB: at 100 MB/s more than half a second's worth,
    /// which hides every round trip, while the memory of a process stays bounded. Rounded to KiB, at least 1 KiB.
    pub queue_bytes: usize,
    /// Messages that may wait in the queue or be in flight. Default 500,000. Each costs about 200 bytes beside its
    /// content, so that without this bound small messages would take many times `queue_bytes`.
    pub queue_messages: usize,
    /// How long a message waits for company. Default 5 ms: what comes from one window of the outbox fills a batch long
    /// before, so this bounds the delay of a lone message and costs nothing under load.
    pub linger: Duration,
    /// Bytes in one batch of one partition. Default 1,000,000, below the 1,048,588 that a topic accepts by default.
    /// A broker refuses the *batch* that exceeds the `max.message.bytes` of its topic: lower this where a topic allows
    /// less (see [`Admin::max_message_bytes`](crate::Admin::max_message_bytes)).
    pub batch_bytes: usize,
    /// Messages in one batch of one partition. Default 10,000, librdkafka's. With 1 a broker's refusal is about one message alone.
    pub batch_messages: u32,
    /// Compression of batches. Default none.
    pub compression: Compression,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            message_timeout: Duration::from_secs(8),
            queue_bytes: 64 << 20,
            queue_messages: 500_000,
            linger: Duration::from_millis(5),
            batch_bytes: 1_000_000,
            batch_messages: 10_000,
            compression: Compression::None,
        }
    }
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip: for very old readers.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4: cheap for the CPU.
    Lz4,
    /// zstd: smallest.
    Zstd,
}

impl Compression {
    /// Kafka's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl std::str::FromStr for Compression {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd]
            .into_iter()
            .find(|known| known.as_str() == name)
            .ok_or_else(|| format!("`{name}` is none of none, gzip, snappy, lz4, zstd"))
    }
}

impl PublisherOptions {
    /// What a user's properties may override.
    pub(crate) fn defaults() -> Vec<(&'static str, String)> {
        // The topic's own limit is the one that counts; the relay checks it before it hands a row over.
        vec![("message.max.bytes", "1000000000".into())]
    }

    /// What they may not.
    pub(crate) fn owned(&self) -> Vec<(&'static str, String)> {
        let millis = |duration: Duration| duration.as_millis().max(1).to_string();
        vec![
            ("enable.idempotence", "true".into()),
            ("acks", "all".into()),
            ("enable.gapless.guarantee", "true".into()),
            ("max.in.flight.requests.per.connection", "5".into()),
            ("message.timeout.ms", millis(self.message_timeout)),
            ("partitioner", "consistent_random".into()),
            ("allow.auto.create.topics", "false".into()),
            ("queue.buffering.max.kbytes", (self.queue_bytes / 1024).max(1).to_string()),
            ("queue.buffering.max.messages", self.queue_messages.max(1).to_string()),
            ("linger.ms", self.linger.as_millis().to_string()),
            ("batch.size", self.batch_bytes.max(1).to_string()),
            ("batch.num.messages", self.batch_messages.max(1).to_string()),
            ("compression.type", self.compression.as_str().into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientConfig;

    /// The gem's documented set-up waits for one broker and is not idempotent (W20).
    #[test]
    fn by_default_all_replicas_acknowledge_and_no_retry_repeats_or_reorders() {
        let native = ClientConfig::new("localhost:9092")
            .native(PublisherOptions::defaults(), PublisherOptions::default().owned())
            .unwrap();
        for (property, value) in [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            ("partitioner", "consistent_random"),
        ] {
            assert_eq!(native.get(property), Some(value), "{property}");
        }
    }
}
