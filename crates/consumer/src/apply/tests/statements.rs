//! What a batch costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Partition, database};
use crate::change::testing::event;

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_messages() {
    let mut counts = Vec::new();
    for size in [1, 300] {
        let database = database().await;
        let mut topic = Partition::new(&database, "v3_bookings").await;
        let mut records = Vec::new();
        for n in 0..size {
            let version = Some((i64::from(n) + 1, 0));
            let data = format!(
                r#"{{"id":{n},"name":"x","links":{{"bookings_fees":[{n}]}},"bookings_fees":[{{"id":{n},"name":"y"}}]}}"#
            );
            records.push(topic.message(&event("booking_updated", "Booking", &data), version));
            records.push(topic.message(
                &event("room_updated", "Room", &format!(r#"{{"id":{n},"name":"x"}}"#)),
                version,
            ));
            let gone = format!(r#"{{"links":{{}},"id":{}}}"#, n + 1_000_000);
            records.push(topic.message(&event("booking_destroyed", "Booking", &gone), version));
        }
        let statements = Arc::new(AtomicUsize::new(0));
        let counting = tracing::dispatcher::set_default(&tracing::Dispatch::new(Statements(
            Arc::clone(&statements),
        )));
        let applied = topic.apply(&records).await;
        drop(counting);
        assert_eq!(applied.applied, 4 * u64::from(u32::try_from(size).unwrap()));
        counts.push(statements.load(Ordering::Relaxed));
    }
    // Step and judgement; an upsert of rooms, bookings and fees each, a delete of bookings; the commit.
    assert_eq!(counts, [7, 7]);
}

/// Counts what sqlx says of each statement.
struct Statements(Arc<AtomicUsize>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("sqlx::query")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
