//! What a batch costs.

use std::cell::Cell;
use std::sync::Once;

use super::{Partition, database};
use crate::change::testing::event;

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_messages() {
    listen();
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
        STATEMENTS.set(0);
        let applied = topic.apply(&records).await;
        let statements = STATEMENTS.get();
        assert_eq!(applied.applied, 4 * u64::from(u32::try_from(size).unwrap()));
        counts.push(statements);
    }
    // Step and judgement; an upsert of rooms, bookings and fees each, a delete of bookings; the commit.
    assert_eq!(counts, [7, 7]);
}

thread_local! {
    /// Statements of this thread, which is this test.
    static STATEMENTS: Cell<usize> = const { Cell::new(0) };
}

/// For all tests of the process: one for this thread alone can be missed, because tracing remembers per line of code whether anybody listens, and
/// the thread that comes there first is asked.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Statements).unwrap());
}

/// Counts what sqlx says of each statement.
struct Statements;

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
        STATEMENTS.set(STATEMENTS.get() + 1);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
