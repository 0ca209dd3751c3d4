//! The recording `03a-soft-delete`.

use chrono::NaiveDateTime;
use dionysus_core::partition_of;
use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, Topology};
use sqlx::FromRow;

use super::{Recording, run, text};
use crate::fixture::{migrated, rows};

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
struct Rental {
    id: i64,
    #[publishable(hidden)]
    account_id: Option<i64>,
    name: Option<String>,
    canceled_at: Option<NaiveDateTime>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

/// Where ours are deliberately stronger: the gem's message, by its number, and what stands in its place.
///
/// - 8 and 9: three transactions were committed before the gem's worker ran. It reads when it publishes and gives all three messages the last state,
///   a `destroyed` with `canceled_at: null` among them (W7). Each of ours carries the state that its transaction committed.
/// - 11 and 12: an update and a soft delete in one transaction. The gem writes two messages, and its `updated` shows the soft delete already. Ours is one (W36).
const STRONGER: &[(u64, Option<&str>)] = &[
    (
        8,
        Some(
            r#"{"message":[{"event":"rental_created","model_name":"Rental","data":[{"id":3,"name":"flip","canceled_at":null,"created_at":"2024-01-15T10:01:20.000Z","updated_at":"2024-01-15T10:01:20.000Z","links":{}}]}]}"#,
        ),
    ),
    (
        9,
        Some(
            r#"{"message":[{"event":"rental_destroyed","model_name":"Rental","data":[{"id":3,"name":"flip","canceled_at":"2024-01-15T10:01:20.001Z","created_at":"2024-01-15T10:01:20.000Z","updated_at":"2024-01-15T10:01:20.001Z","links":{}}]}]}"#,
        ),
    ),
    (11, None),
];

#[tokio::test]
async fn soft_deletes_restores_and_hard_deletes_are_those_of_the_recording() {
    let recording = Recording::load("03a-soft-delete");
    let database = migrated().await;
    recording.create_table(&database.pool, "rentals").await;
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
        .build()
        .unwrap();
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    for step in recording.steps() {
        run::<Rental>(&outbox, step).await;
    }

    let messages = recording.all("messages");
    assert_eq!(messages.len(), 12);
    let mut rows = rows(&database.pool).await.into_iter();
    for message in messages {
        let number = message["n"].as_u64().unwrap();
        let payload = match STRONGER.iter().find(|(n, _)| *n == number) {
            Some((_, None)) => continue,
            Some((_, Some(ours))) => *ours,
            None => text(message, "payload"),
        };
        let row = rows.next().expect("a row for each message");
        assert_eq!(row.payload, payload, "message {number}");
        assert_eq!(row.topic, text(message, "topic"), "message {number}");
        assert_eq!(row.key, text(message, "key"), "message {number}");
        let partition_key = row.partition_key.as_deref();
        assert_eq!(partition_key, message["partition_key"].as_str(), "message {number}");
        let partition = partition_key.map(|key| partition_of(key, 12).into());
        assert_eq!(partition, message["partition_of_12"].as_u64(), "message {number}");
    }
    assert!(rows.next().is_none(), "nothing beyond the recording");
}
