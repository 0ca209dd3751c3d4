//! The gem's removal rules, seen in the tables.

use serde_json::json;

use super::{Partition, database, rows};
use crate::change::testing::event;

#[tokio::test]
async fn soft_deletes_and_restores_follow_the_gem() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    for (version, (kind, data, expected)) in [
        ("created", r#""name":"a""#, json!(["a", null])),
        (
            "destroyed",
            r#""name":"b","canceled_at":"2024-01-15T10:00:01Z""#,
            json!(["b", "2024-01-15T10:00:01"]),
        ),
        (
            "updated",
            r#""name":"c","canceled_at":"2024-01-15T10:00:01Z""#,
            json!(["c", "2024-01-15T10:00:01"]),
        ),
        ("updated", r#""name":"d","canceled_at":null"#, json!(["d", null])),
        (
            "destroyed",
            r#""canceled_at":"2024-01-15T10:00:02Z""#,
            json!(["d", "2024-01-15T10:00:02"]),
        ),
        (
            "updated",
            r#""name":"restored without the key""#,
            json!(["restored without the key", null]),
        ),
        ("destroyed", r#""name":"alive","canceled_at":null"#, json!(["alive", null])),
    ]
    .into_iter()
    .enumerate()
    {
        let payload =
            event(&format!("booking_{kind}"), "Booking", &format!(r#"{{"id":2,{data}}}"#));
        topic.one(&payload, Some((i64::try_from(version).unwrap() + 1, 0))).await;
        let query = "select jsonb_build_array(name, synced_canceled_at) as row from bookings";
        assert_eq!(rows(&database, query).await[0]["row"], expected, "{kind} {data}");
    }
    let unknown = event("booking_destroyed", "Booking", r#"{"links":{},"id":11}"#);
    topic.one(&unknown, Some((20, 0))).await;
    assert_eq!(rows(&database, "select 1 from bookings where synced_id = 11").await, json!([]));
}

#[tokio::test]
async fn a_flag_stands_for_the_strategy_of_the_gem() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    for (version, (kind, data, expected)) in [
        ("created", r#""name":"a""#, json!(["a", null])),
        ("destroyed", r#""links":{}"#, json!(["a", true])),
        ("updated", r#""name":"still flagged""#, json!(["still flagged", true])),
        ("created", r#""name":"visible again""#, json!(["visible again", false])),
        ("destroyed", r#""canceled_at":"2024-01-15T10:00:02Z""#, json!(["visible again", true])),
    ]
    .into_iter()
    .enumerate()
    {
        let payload = event(&format!("room_{kind}"), "Room", &format!(r#"{{"id":2,{data}}}"#));
        topic.one(&payload, Some((i64::try_from(version).unwrap() + 1, 0))).await;
        let query = "select jsonb_build_array(name, canceled) as row from rooms";
        assert_eq!(rows(&database, query).await[0]["row"], expected, "{kind} {data}");
    }
    // Never seen: it appears in its soft-deleted form.
    let unknown = event("room_destroyed", "Room", r#"{"links":{},"id":11}"#);
    topic.one(&unknown, Some((20, 0))).await;
    let query = "select canceled from rooms where synced_id = 11";
    assert_eq!(rows(&database, query).await, json!([{ "canceled": true }]));
}

#[tokio::test]
async fn a_delete_of_many_ids_removes_each() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    let created: Vec<String> = (1..=5).map(|id| format!(r#"{{"id":{id},"name":"a"}}"#)).collect();
    topic.one(&event("booking_created", "Booking", &created.join(",")), Some((1, 0))).await;
    let gone = r#"{"id":4},{"links":{},"id":1},{"id":9},{"id":3}"#;
    topic.one(&event("booking_destroyed", "Booking", gone), Some((2, 0))).await;
    let left = rows(&database, "select synced_id as id from bookings order by synced_id").await;
    assert_eq!(left, json!([{ "id": 2 }, { "id": 5 }]));
}
