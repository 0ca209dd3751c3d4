//! One message on its way out.

use dionysus_core::partition_of;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::Code;

/// A message to publish. Everything is borrowed: librdkafka copies it into its queue.
#[derive(Clone, Copy)]
pub struct OutgoingMessage<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Chooses the partition; `None`: the key does.
    pub partition_key: Option<&'a str>,
    /// The message key.
    pub key: &'a [u8],
    /// The message value; `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Headers, in this order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> OutgoingMessage<'a> {
    /// `rdkafka` allocates a C string for the topic and a list for the headers; the rest is handed over as it is.
    pub(crate) fn record(
        &self,
        partitions: u32,
        ticket: usize,
    ) -> BaseRecord<'a, [u8], [u8], usize> {
        let mut record = BaseRecord::with_opaque_to(self.topic, ticket).key(self.key);
        record.payload = self.payload;
        record.partition =
            self.partition_key.and_then(|key| i32::try_from(partition_of(key, partitions)).ok());
        if !self.headers.is_empty() {
            let empty = OwnedHeaders::new_with_capacity(self.headers.len());
            record.headers = Some(self.headers.iter().fold(empty, |headers, &(key, value)| {
                headers.insert(Header { key, value: Some(value) })
            }));
        }
        record
    }

    /// What it takes in a batch of its own, framing included, at most: what a topic's `max.message.bytes` is held against, unless batches are
    /// compressed.
    pub fn wire_bytes(&self) -> usize {
        // The batch's header, and numbers of up to ten bytes for the record's length, times and lengths of key, value and headers.
        const BATCH: usize = 61;
        const NUMBERS: usize = 7 * 10;
        const HEADER_NUMBERS: usize = 2 * 5;
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + HEADER_NUMBERS)
            .sum();
        BATCH + NUMBERS + self.bytes() + headers
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.payload.map_or(0, <[u8]>::len)
    }
}

/// Sizes, not contents: keys and payloads are the application's.
impl std::fmt::Debug for OutgoingMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("topic", &self.topic)
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

/// Why a message was not taken. The sink hears nothing of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The queue (`queue_bytes`, `queue_messages`) is full: go on when acknowledgements have come.
    #[error("the publisher's queue is full")]
    QueueFull,
    /// The number of partitions of the topic is not known (any more): await
    /// [`refresh_topic`](crate::Publisher::refresh_topic), then try again.
    #[error("the number of partitions of {topic} is not known")]
    UnknownPartitions {
        /// The topic.
        topic: String,
    },
    /// The message is larger than the property `message.max.bytes` of this client (1 GB unless set lower), or, found by
    /// [`OutgoingMessage::wire_bytes`] before it is handed over, than its topic accepts.
    #[error("a message of {bytes} bytes for {topic} is too large")]
    TooLarge {
        /// The topic.
        topic: String,
        /// Size of key and payload.
        bytes: usize,
    },
    /// The client met a fatal error: see [`fatal_error`](crate::Publisher::fatal_error).
    #[error("the client met a fatal error")]
    Fatal {
        /// The cause.
        #[source]
        code: Code,
    },
    /// Anything else.
    #[error("a message for {topic} was not taken")]
    Refused {
        /// The topic.
        topic: String,
        /// The cause.
        #[source]
        code: Code,
    },
}

impl PublishError {
    /// What to do about it; `None` where the caller alone can.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::QueueFull | Self::UnknownPartitions { .. } => None,
            Self::TooLarge { .. } => {
                Some("publish less in one message, or raise the topic's `max.message.bytes`".into())
            }
            Self::Fatal { .. } => {
                Some("restart the process if it does not recover by itself".into())
            }
            Self::Refused { topic, .. } => {
                Some(format!("check the topic {topic} and the rights on it"))
            }
        }
    }

    pub(crate) fn of(code: Code, message: &OutgoingMessage<'_>) -> Self {
        let topic = message.topic.to_owned();
        match code.0 {
            RDKafkaErrorCode::QueueFull => Self::QueueFull,
            RDKafkaErrorCode::MessageSizeTooLarge => {
                Self::TooLarge { topic, bytes: message.bytes() }
            }
            RDKafkaErrorCode::Fatal | RDKafkaErrorCode::Fenced => Self::Fatal { code },
            _ if code.is_unknown_topic() => Self::UnknownPartitions { topic },
            _ => Self::Refused { topic, code },
        }
    }
}
