//! Error codes of Kafka and librdkafka, so that nobody else needs to name their types.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// An error code: positive ones come from a broker, negative ones from librdkafka.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Code(pub(crate) RDKafkaErrorCode);

impl Code {
    /// The number in Kafka's protocol; negative for codes that librdkafka made up.
    pub fn number(self) -> i32 {
        self.0 as i32
    }

    /// The code inside an error of rdkafka; [`RDKafkaErrorCode::Fail`] where it has none.
    pub(crate) fn of(error: &KafkaError) -> Self {
        Self(match error {
            // `rdkafka_error_code` leaves these two out.
            KafkaError::AdminOp(code) => *code,
            KafkaError::NoMessageReceived => RDKafkaErrorCode::OperationTimedOut,
            other => other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
        })
    }

    /// Nobody answered: down, not reachable, or not resolvable.
    pub(crate) fn is_unreachable(self) -> bool {
        matches!(
            self.0,
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::TimedOutQueue
                | RDKafkaErrorCode::RequestTimedOut
        )
    }

    pub(crate) fn is_unknown_topic(self) -> bool {
        matches!(
            self.0,
            RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Code {}
