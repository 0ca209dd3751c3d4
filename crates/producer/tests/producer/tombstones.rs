//! W21: real null values, after the event that ends the key.

use dionysus_derive::Publishable;
use dionysus_producer::{Error, Outbox, Topology};
use sqlx::FromRow;

use crate::fixture::*;

/// `key event` of each row; a tombstone's in brackets.
async fn all(pool: &sqlx::PgPool) -> Vec<String> {
    let rows: Vec<(String, String, Option<String>, bool)> = sqlx::query_as(
        "select key, event, partition_key, payload is null from dionysus.outbox order by seq",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let text = |(key, event, partition_key, tombstone): (String, String, Option<String>, bool)| {
        assert_eq!(partition_key.as_deref(), Some("7"), "a tombstone goes where its key went");
        if tombstone { format!("({key})") } else { format!("{key} {event}") }
    };
    rows.into_iter().map(text).collect()
}

async fn with_tombstones() -> (dionysus_embedded::testing::Database, Outbox) {
    let database = migrated().await;
    let topology = Topology::builder()
        .namespace("v3", |ns| ns.topic("rentals", |t| t.tombstones().publish::<Rental>()))
        .build()
        .unwrap();
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    (database, outbox)
}

#[tokio::test]
async fn a_topic_with_tombstones_follows_each_hard_delete_with_one() {
    let (database, outbox) = with_tombstones().await;
    let canceled = Rental { canceled_at: Some(chrono::Utc::now()), ..rental(2, "a") };
    let mut tx = outbox.begin().await.unwrap();
    tx.destroyed(&rental(1, "a")).unwrap();
    tx.destroyed(&canceled).unwrap();
    tx.changed(Some(&rental(3, "a")), None).unwrap();
    assert_eq!(tx.staged(), 5);
    tx.commit().await.unwrap();
    assert_eq!(
        all(&database.pool).await,
        [
            "Rental:1 rental_destroyed",
            "(Rental:1)",
            "Rental:2 rental_destroyed",
            "Rental:3 rental_destroyed",
            "(Rental:3)",
        ]
    );
}

#[tokio::test]
async fn an_instance_that_lives_on_has_no_tombstone() {
    let (database, outbox) = with_tombstones().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.destroyed(&rental(1, "a")).unwrap();
    tx.created(&rental(1, "b")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(all(&database.pool).await, ["Rental:1 rental_created"]);
}

#[tokio::test]
async fn a_tombstone_can_be_staged_alone_or_after_an_event() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.tombstone(&rental(1, "a")).unwrap();
    tx.destroyed(&rental(2, "a")).unwrap();
    tx.tombstone(&rental(2, "a")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        all(&database.pool).await,
        ["(Rental:1)", "Rental:2 rental_destroyed", "(Rental:2)"]
    );
}

#[tokio::test]
async fn a_tombstones_key_and_partition_key_can_be_given() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.tombstone_of_key("v3_rentals", "Rental:5", Some("7")).unwrap();
    for (topic, key) in
        [("v3_rentals", "Account:5"), ("v3_rental", "Rental:5"), ("v3_documents", "Core:5")]
    {
        let error = tx.tombstone_of_key(topic, key, None).unwrap_err();
        assert!(matches!(error, Error::KeyNotPublished { .. }), "{error}");
        assert_eq!(error.key(), Some(key));
        assert!(error.remedy().is_some());
    }
    assert!(matches!(
        tx.tombstone_of_key("v3_rentals", "Rental:", None),
        Err(Error::EmptyId { .. })
    ));
    tx.commit().await.unwrap();
    assert_eq!(all(&database.pool).await, ["(Rental:5)"]);
}

#[derive(Clone, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "vehicles")]
struct Vehicle {
    id: i64,
    account_id: i64,
}

#[derive(Clone, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "vehicles", base = "Vehicle")]
struct Car {
    id: i64,
    account_id: i64,
}

/// W17: the gem finds no responder for the rebuilt base class, and marks the row as published.
#[tokio::test]
async fn a_deleted_subclass_is_published_under_its_base_or_if_that_is_not_on_the_topic_its_own_name()
 {
    let car = Car { id: 4, account_id: 7 };
    for (with_base, expected) in [(true, "Vehicle:4 car_destroyed"), (false, "Car:4 car_destroyed")]
    {
        let database = migrated().await;
        let topology = Topology::builder()
            .namespace("v3", |ns| {
                ns.topic("vehicles", |t| {
                    if with_base {
                        t.publish::<Vehicle>().publish::<Car>()
                    } else {
                        t.publish::<Car>()
                    }
                })
            })
            .build()
            .unwrap();
        let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
        let mut tx = outbox.begin().await.unwrap();
        tx.destroyed(&car).unwrap();
        tx.commit().await.unwrap();
        assert_eq!(all(&database.pool).await, [expected]);
        let mut tx = outbox.begin().await.unwrap();
        tx.created(&Car { id: 5, ..car.clone() }).unwrap();
        tx.destroyed(&Car { id: 5, ..car.clone() }).unwrap();
        tx.commit().await.unwrap();
        let last = all(&database.pool).await.split_off(1);
        let own = "Car:5 car_destroyed";
        let wanted: &[&str] = if with_base { &[own, "Vehicle:5 car_destroyed"] } else { &[own] };
        assert_eq!(last, wanted, "what was created under its own key ends there too");
    }
}
