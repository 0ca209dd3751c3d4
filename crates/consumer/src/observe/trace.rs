//! A span for each transaction, linked to the traces of its messages.

use std::collections::HashSet;

use dionysus_core::headers;
use dionysus_kafka::{Record, TopicPartition};
use dionysus_service::{TRACES, link};
use tracing::Span;

/// More links than this make a span heavy and nobody wiser.
const LINKS: usize = 32;

/// From now until it is dropped. Where nobody traces no message is looked at.
pub(crate) fn batch_span(place: &TopicPartition, records: &[Record]) -> Span {
    let span = tracing::debug_span!(
        target: TRACES,
        "consumer.batch",
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.destination.name = %place.topic,
        messaging.destination.partition.id = place.partition,
        messaging.batch.message_count = records.len(),
    );
    if span.is_disabled() {
        return span;
    }
    let mut linked = HashSet::new();
    for traceparent in records.iter().filter_map(|record| record.header(headers::TRACEPARENT)) {
        if linked.len() == LINKS {
            break;
        }
        if linked.insert(traceparent) {
            link(&span, traceparent);
        }
    }
    span
}
