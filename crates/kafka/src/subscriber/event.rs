//! What a subscriber tells its caller.

use std::fmt;

/// One thing that happened, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SubscriberEvent {
    /// These partitions are ours now, and silent until [`start_at`](crate::Subscriber::start_at).
    Assigned(Vec<TopicPartition>),
    /// These are no longer ours; handed over in good order.
    Revoked(Vec<TopicPartition>),
    /// These were taken from us (we were silent too long): somebody else may read them already.
    Lost(Vec<TopicPartition>),
    /// Records of one partition.
    Batch(PartitionBatch),
}

/// A partition of a topic.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicPartition {
    /// The topic.
    pub topic: String,
    /// The partition, from 0.
    pub partition: i32,
}

/// Records of one partition, in order of their offsets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartitionBatch {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// At least one record. Offsets ascend and may have gaps: control records of transactions and compacted messages
    /// are not delivered.
    pub records: Vec<Record>,
    /// Where to go on behind this batch: the last record's offset + 1.
    pub next_offset: i64,
}

/// One message, as it was read.
#[derive(Clone, Eq, PartialEq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, set by the producer or (by the topic's setting) the broker.
    pub timestamp_ms: Option<i64>,
    /// The message key.
    pub key: Option<Vec<u8>>,
    /// The message value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Headers in their order, repeated ones included; a header without value is empty. Headers whose names are not
    /// UTF-8 are left out.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// Bytes of key, value and headers.
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.key.as_ref().map_or(0, Vec::len) + self.payload.as_ref().map_or(0, Vec::len) + headers
    }
}

/// Sizes, not contents: keys and payloads are the application's.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("offset", &self.offset)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Where to begin reading a partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StartAt {
    /// At this offset, which must lie in the log or right behind it.
    Offset(i64),
    /// At the first message that the log still holds.
    Beginning,
}
