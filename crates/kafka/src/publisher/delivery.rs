//! What becomes of a message that was handed over, and what its owner should do then.

use rdkafka::error::RDKafkaErrorCode;

use crate::Code;

/// Hears of each message, once.
///
/// Called on the client's thread, one call at a time, in the order of acknowledgements (which is the order of
/// hand-over within a partition only). It must be short, must not block, and must not call back into the publisher:
/// while it runs no other acknowledgement is heard. A panic is caught and logged; its ticket counts as heard.
pub trait DeliverySink: Send + Sync + 'static {
    /// `ticket` is what was given to [`publish`](crate::Publisher::publish). librdkafka carries it as a pointer-sized
    /// number: nothing is allocated for it.
    fn delivered(&self, ticket: usize, outcome: Result<(), DeliveryError>);
}

/// Why a message was not acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// Given up by us: purged, or queued in a client that met a fatal error.
    #[error("purged before it was acknowledged")]
    Purged {
        /// It was on its way: its broker may have appended it.
        in_flight: bool,
    },
    /// `message_timeout` passed. Its broker may have appended it.
    #[error("not acknowledged in time")]
    TimedOut,
    /// The client cannot go on: a gap, a sequence error, a newer producer.
    #[error("the client met a fatal error")]
    Fatal {
        /// The cause.
        #[source]
        code: Code,
    },
    /// The broker does not take this message, or another one of its batch.
    #[error("refused by the broker")]
    Refused {
        /// The cause.
        #[source]
        code: Code,
    },
    /// The cause lies with the topic, not with the message: no right to write, no such topic or partition.
    #[error("the topic takes no messages from us")]
    TopicCause {
        /// The cause.
        #[source]
        code: Code,
    },
    /// Anything else: brokers and networks that are not well, and codes that we do not know. Worth another try.
    #[error("the broker could not take it")]
    Unavailable {
        /// The cause.
        #[source]
        code: Code,
    },
}

/// What the owner of a message should do about a [`DeliveryError`].
///
/// Whatever it is: when [`fatal_error`](crate::Publisher::fatal_error) is set (any final failure sets it, by the
/// gapless guarantee) a new client is needed first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disposition {
    /// Publish again from the first message that is not acknowledged.
    Resend,
    /// Make a new client, then [`Resend`](Self::Resend).
    Rebuild,
    /// Some message of the batch is the cause: send them one by one, through another client, with their keys held.
    Isolate,
    /// Stop the topic until someone has seen to it; other topics go on.
    StopTopic,
}

impl DeliveryError {
    /// What to do about it.
    #[must_use]
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Purged { .. } | Self::TimedOut | Self::Unavailable { .. } => Disposition::Resend,
            Self::Fatal { .. } => Disposition::Rebuild,
            Self::Refused { .. } => Disposition::Isolate,
            Self::TopicCause { .. } => Disposition::StopTopic,
        }
    }

    /// The cause as Kafka names it, where there is one.
    pub fn code(self) -> Option<Code> {
        match self {
            Self::Purged { .. } | Self::TimedOut => None,
            Self::Fatal { code }
            | Self::Refused { code }
            | Self::TopicCause { code }
            | Self::Unavailable { code } => Some(code),
        }
    }

    pub(crate) fn of(code: Code) -> Self {
        use RDKafkaErrorCode as C;
        match code.0 {
            C::PurgeQueue => Self::Purged { in_flight: false },
            C::PurgeInflight => Self::Purged { in_flight: true },
            C::MessageTimedOut | C::OperationTimedOut | C::TimedOutQueue => Self::TimedOut,
            C::Fatal
            | C::GaplessGuarantee
            | C::Inconsistent
            | C::Fenced
            | C::OutOfOrderSequenceNumber
            | C::DuplicateSequenceNumber
            | C::UnknownProducerId
            | C::InvalidProducerEpoch
            | C::InvalidProducerIdMapping
            | C::ProducerFenced => Self::Fatal { code },
            C::MessageSizeTooLarge
            | C::MessageBatchTooLarge
            | C::InvalidMessageSize
            | C::InvalidMessage
            | C::InvalidRecord
            | C::InvalidTimestamp
            | C::PolicyViolation
            | C::KeySerialization
            | C::ValueSerialization => Self::Refused { code },
            C::TopicAuthorizationFailed
            | C::ClusterAuthorizationFailed
            | C::TransactionalIdAuthorizationFailed
            | C::UnknownTopic
            | C::UnknownPartition
            | C::UnknownTopicOrPartition
            | C::InvalidTopic
            | C::InvalidRequiredAcks
            | C::UnsupportedForMessageFormat
            | C::UnsupportedCompressionType => Self::TopicCause { code },
            _ => Self::Unavailable { code },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        for (code, disposition) in [
            (RDKafkaErrorCode::PurgeQueue, Disposition::Resend),
            (RDKafkaErrorCode::PurgeInflight, Disposition::Resend),
            (RDKafkaErrorCode::MessageTimedOut, Disposition::Resend),
            (RDKafkaErrorCode::NotEnoughReplicas, Disposition::Resend),
            (RDKafkaErrorCode::LeaderNotAvailable, Disposition::Resend),
            (RDKafkaErrorCode::Unknown, Disposition::Resend),
            (RDKafkaErrorCode::GaplessGuarantee, Disposition::Rebuild),
            (RDKafkaErrorCode::OutOfOrderSequenceNumber, Disposition::Rebuild),
            (RDKafkaErrorCode::MessageSizeTooLarge, Disposition::Isolate),
            (RDKafkaErrorCode::InvalidRecord, Disposition::Isolate),
            (RDKafkaErrorCode::TopicAuthorizationFailed, Disposition::StopTopic),
            (RDKafkaErrorCode::UnknownTopicOrPartition, Disposition::StopTopic),
        ] {
            assert_eq!(DeliveryError::of(Code(code)).disposition(), disposition, "{code:?}");
        }
    }
}
