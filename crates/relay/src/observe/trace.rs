//! A span for each chunk of rows on its way to Kafka, linked to the traces of the rows.

use std::collections::HashSet;

use dionysus_core::headers;
use dionysus_postgres::window::OutboxRow;
use dionysus_service::{TRACES, link};
use tracing::Span;

/// More links than this make a span heavy and nobody wiser.
const LINKS: usize = 32;

/// From now until it is dropped; none for a window without rows, of which an idle relay reads one at each poll. Where nobody traces no row is
/// looked at.
pub(crate) fn window_span(rows: &[OutboxRow], topics: usize) -> Span {
    if rows.is_empty() {
        return Span::none();
    }
    let span = tracing::debug_span!(
        target: TRACES,
        "relay.window",
        otel.kind = "producer",
        messaging.system = "kafka",
        messaging.batch.message_count = rows.len(),
        topics,
    );
    if span.is_disabled() {
        return span;
    }
    let mut linked = HashSet::new();
    for row in rows {
        if linked.len() == LINKS {
            break;
        }
        // A row that can't be read is the pump's to tell.
        let Ok(Some(fields)) = row.headers() else { continue };
        if let Some(traceparent) = fields.get(headers::TRACEPARENT).and_then(|value| value.as_str())
            && linked.insert(traceparent.to_owned())
        {
            link(&span, traceparent.as_bytes());
        }
    }
    span
}
