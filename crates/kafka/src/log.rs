//! librdkafka's log lines, as tracing events.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

/// librdkafka calls a closed connection an error; for us it is an oddity from which it recovers, hence one level lower.
/// Its lines hold addresses, topics and counts, never keys, payloads or credentials.
pub(crate) fn forward(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        // Said of every publisher, at each start: that the guarantee is marked experimental. It is set on purpose.
        _ if facility == "CONFWARN" && text.contains("enable.gapless.guarantee") => {
            tracing::debug!(target: "librdkafka", facility, text, "kafka client informs");
        }
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, text, "kafka client warns");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::debug!(target: "librdkafka", facility, text, "kafka client informs");
        }
        RDKafkaLogLevel::Debug => {
            tracing::trace!(target: "librdkafka", facility, text, "kafka client traces");
        }
    }
}

/// Errors that belong to no request. librdkafka has logged the reason already.
pub(crate) fn global_error(error: &KafkaError, reason: &str) {
    tracing::debug!(target: "librdkafka", %error, reason, "kafka client reports an error");
}
