//! Each cell of the table of messages and entries in [`dionysus_postgres::guards`].

use serde_json::json;

use super::{APPLIED, Partition, STALE, database, names, rows};
use crate::change::testing::event;

fn timed(event_kind: &str, name: &str, second: Option<u32>) -> String {
    let time = second
        .map_or_else(String::new, |s| format!(r#","updated_at":"2024-01-15T10:00:{s:02}.000Z""#));
    event(
        &format!("booking_{event_kind}"),
        "Booking",
        &format!(r#"{{"id":1,"name":"{name}"{time}}}"#),
    )
}

const GONE: &str = r#"{"message":[{"event":"booking_destroyed","model_name":"Booking","data":[{"links":{},"id":1}]}]}"#;

/// What made the entry, the message, whether it is admitted.
#[tokio::test]
async fn every_cell_of_the_guards_table_holds() {
    let v = |version| Some((version, 0));
    let upsert = |second| timed("updated", "new", second);
    for (n, (before, message, order, admitted)) in [
        (vec![], upsert(Some(5)), v(1), true),
        (vec![], upsert(Some(5)), None, true),
        // Unversioned, live.
        (vec![(timed("created", "old", Some(5)), None)], upsert(Some(1)), v(1), true),
        (vec![(timed("created", "old", Some(5)), None)], upsert(Some(5)), None, true),
        (vec![(timed("created", "old", Some(5)), None)], upsert(Some(4)), None, false),
        (vec![(timed("created", "old", Some(5)), None)], upsert(None), None, true),
        (vec![(timed("created", "old", None), None)], upsert(Some(1)), None, true),
        // Unversioned, deleted.
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(Some(1)),
            v(1),
            true,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(Some(5)),
            None,
            false,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(Some(6)),
            None,
            true,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(None),
            None,
            false,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            timed("created", "new", None),
            None,
            true,
        ),
        (vec![(GONE.into(), None)], upsert(Some(5)), None, false),
        (vec![(GONE.into(), None)], timed("created", "new", Some(5)), None, true),
        // Versioned, live.
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(9)), v(2), false),
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(1)), v(3), true),
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(5)), None, true),
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(4)), None, false),
        // Versioned, deleted.
        (vec![(GONE.into(), v(3))], upsert(Some(9)), v(3), false),
        (vec![(GONE.into(), v(3))], upsert(Some(9)), v(4), true),
        (vec![(GONE.into(), v(3))], timed("created", "new", Some(9)), None, false),
    ]
    .into_iter()
    .enumerate()
    {
        let database = database().await;
        let mut topic = Partition::new(&database, "v3_bookings").await;
        for (payload, order) in before {
            topic.one(&payload, order).await;
        }
        let outcome = topic.one(&message, order).await;
        assert_eq!(outcome, if admitted { APPLIED } else { STALE }, "case {n}");
        let holds = names(&database).await == json!([{ "id": 1, "name": "new" }]);
        assert_eq!(holds, admitted, "case {n}");
    }
}

/// W8: the gem nulls a time that a message does not name, and with it the guard that holds messages without a version against it.
#[tokio::test]
async fn a_message_without_a_time_leaves_the_one_that_is_there_and_what_is_older_is_refused() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    topic.one(&timed("created", "a", Some(5)), None).await;
    assert_eq!(topic.one(&timed("updated", "b", None), None).await, APPLIED);
    assert_eq!(topic.one(&timed("updated", "c", Some(4)), None).await, STALE);
    let query = "select name, synced_updated_at from bookings";
    assert_eq!(
        rows(&database, query).await,
        json!([{ "name": "b", "synced_updated_at": "2024-01-15T10:00:05" }])
    );
}

#[tokio::test]
async fn an_unversioned_delete_of_a_versioned_row_keeps_its_version() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    topic.one(&timed("created", "a", Some(5)), Some((3, 0))).await;
    assert_eq!(topic.one(GONE, None).await, APPLIED);
    assert_eq!(topic.one(&timed("updated", "a", Some(5)), Some((3, 0))).await, STALE);
    assert_eq!(topic.one(&timed("updated", "b", Some(5)), Some((4, 0))).await, APPLIED);
}
