//! What the gem does wrong (spec §14), and what happens here instead. Each test would fail on the gem's behaviour.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use dionysus_core::partition_of;
use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, Topology};
use sqlx::FromRow;
use uuid::Uuid;

use crate::fixture::*;

/// W16: bulk writes go past the gem's hooks.
#[tokio::test]
async fn what_a_bulk_statement_returns_is_published_whole() {
    let (database, outbox) = outbox().await;
    execute(
        &database.pool,
        "insert into rentals select n, 7, 'a', null from generate_series(1, 500) n",
    )
    .await;
    let mut tx = outbox.begin().await.unwrap();
    let changed: Vec<Rental> =
        sqlx::query_as("update rentals set name = 'b' where id <= 300 returning *")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    tx.updated_all(&changed).unwrap();
    let gone: Vec<Rental> = sqlx::query_as("delete from rentals where id > 300 returning *")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    tx.destroyed_all(&gone).unwrap();
    tx.commit().await.unwrap();
    let counted: Vec<(String, i64, i64)> = sqlx::query_as(
        "select event, count(*), count(distinct key) from dionysus.outbox group by event order by event",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(
        counted,
        [("rental_destroyed".to_owned(), 200, 200), ("rental_updated".to_owned(), 300, 300)]
    );
    assert_eq!(rows(&database.pool).await[0].payload, payload("rental_updated", "b"));
}

/// W19: one empty list drops a whole call of the gem's.
#[tokio::test]
async fn an_empty_list_of_instances_suppresses_no_others() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created_all::<Rental>(&[]).unwrap();
    tx.updated(&rental(1, "a")).unwrap();
    tx.destroyed_all::<Rental>(&[]).unwrap();
    tx.changed_all::<Rental>([]).unwrap();
    tx.changed_all::<Rental>([(None, None), (None, Some(&rental(2, "a")))]).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        events(&database.pool).await,
        ["Rental:1 rental_updated", "Rental:2 rental_created"]
    );
}

#[derive(Clone, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "slots")]
struct Slot {
    id: i64,
    account_id: Option<Uuid>,
    created_at: DateTime<Utc>,
}

fn slot(id: i64, account_id: Option<Uuid>) -> Slot {
    Slot { id, account_id, created_at: DateTime::UNIX_EPOCH }
}

async fn slots(topology: Topology) -> (dionysus_embedded::testing::Database, Outbox) {
    let database = migrated().await;
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    (database, outbox)
}

fn slots_topology(namespace: &str) -> dionysus_producer::TopologyBuilder {
    Topology::builder().namespace(namespace, |ns| ns.topic("slots", |t| t.publish::<Slot>()))
}

/// W33: the gem publishes after a commit in the order of the instances' `created_at`, so that those of one moment may be swapped.
#[tokio::test]
async fn events_keep_the_order_of_their_calls_whatever_their_instances_times() {
    let (database, outbox) = slots(slots_topology("v3").build().unwrap()).await;
    // Created in the same moment, and changed in an order that nothing else tells.
    let ids: Vec<i64> = (0..200).map(|n| n * 77 % 200).collect();
    for destroyed in [false, true] {
        let mut tx = outbox.begin().await.unwrap();
        for &id in &ids {
            let slot = slot(id, None);
            if destroyed { tx.destroyed(&slot).unwrap() } else { tx.updated(&slot).unwrap() }
        }
        tx.commit().await.unwrap();
    }
    let expected: Vec<String> = ["updated", "destroyed"]
        .iter()
        .flat_map(|event| ids.iter().map(move |id| format!("Slot:{id} slot_{event}")))
        .collect();
    assert_eq!(events(&database.pool).await, expected);
}

/// W35: the gem makes integers of partition keys, and 0 of most UUIDs and of null.
#[tokio::test]
async fn partition_keys_that_are_no_integers_are_taken_as_they_are_and_spread() {
    let (database, outbox) = slots(slots_topology("v3").build().unwrap()).await;
    let accounts: Vec<Uuid> = (0..200).map(|_| Uuid::new_v4()).collect();
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&slot(0, None)).unwrap();
    for (id, account) in (1..).zip(&accounts) {
        tx.created(&slot(id, Some(*account))).unwrap();
    }
    tx.commit().await.unwrap();
    let keys: Vec<_> =
        rows(&database.pool).await.into_iter().map(|row| row.partition_key).collect();
    let expected = [None].into_iter().chain(accounts.iter().map(|it| Some(it.to_string())));
    assert_eq!(keys, expected.collect::<Vec<_>>());
    let partitions: BTreeSet<u32> =
        keys.iter().flatten().map(|key| partition_of(key, 12)).collect();
    assert_eq!(partitions.len(), 12);
}

/// The switch for topics that Ruby writes too: every UUID has an integer there, also one that looks like a float somewhere.
#[tokio::test]
async fn with_integer_partition_keys_every_uuid_has_one() {
    let topology = slots_topology("v3").integer_partition_keys().build().unwrap();
    let (database, outbox) = slots(topology).await;
    let mut tx = outbox.begin().await.unwrap();
    for (id, account) in (1..).zip([
        "a81f3c52-0000-4000-8000-000000000001",
        "12ab3c52-0000-4000-8000-000000000001",
        "1234567e-0000-400e-800e-000000000001",
    ]) {
        tx.created(&slot(id, Some(account.parse().unwrap()))).unwrap();
    }
    tx.commit().await.unwrap();
    let keys: Vec<_> =
        rows(&database.pool).await.into_iter().filter_map(|row| row.partition_key).collect();
    assert_eq!(keys, ["0", "12", "1234567"]);
}

/// W58: the gem's messages have no id of their own, so that nobody can tell a repetition from a second event.
#[tokio::test]
async fn every_row_has_an_id_and_a_time_of_its_own() {
    let (database, outbox) = outbox().await;
    for _ in 0..3 {
        let mut tx = outbox.begin().await.unwrap();
        tx.updated_all(&[rental(1, "a"), rental(2, "a")]).unwrap();
        tx.commit().await.unwrap();
    }
    let (rows, ids, in_time): (i64, i64, bool) = sqlx::query_as(
        "select count(*), count(distinct event_id), bool_and(created_at between now() - interval '1 hour' and clock_timestamp())
         from dionysus.outbox",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!((rows, ids, in_time), (6, 6, true));
}

/// W59: the gem's configuration is one per process.
#[tokio::test]
async fn two_topologies_of_one_model_live_in_one_process() {
    let (first_database, first) = slots(slots_topology("v3").build().unwrap()).await;
    let other = slots_topology("v4").no_default_partition_key().build().unwrap();
    let (second_database, second) = slots(other).await;
    let slot = slot(1, Some(Uuid::nil()));
    let mut one = first.begin().await.unwrap();
    let mut two = second.begin().await.unwrap();
    one.created(&slot).unwrap();
    two.suppressed().created(&slot).unwrap();
    two.updated(&slot).unwrap();
    one.commit().await.unwrap();
    two.commit().await.unwrap();
    let found = async |database: &dionysus_embedded::testing::Database| {
        let [row] = rows(&database.pool).await.try_into().unwrap();
        (row.topic, row.event, row.partition_key)
    };
    let text = str::to_owned;
    assert_eq!(
        found(&first_database).await,
        (text("v3_slots"), text("slot_created"), Some(Uuid::nil().to_string()))
    );
    assert_eq!(found(&second_database).await, (text("v4_slots"), text("slot_updated"), None));
}
