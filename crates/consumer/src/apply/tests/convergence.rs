//! However messages are batched, ordered and repeated, replicas end the same.

use std::collections::BTreeMap;

use dionysus_embedded::testing::Database;
use dionysus_kafka::Record;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::{Partition, database, names, rows};
use crate::change::testing::event;

/// What the messages of one partition say in the end.
#[derive(Clone, Debug)]
struct Saying {
    id: u8,
    kind: &'static str,
    fees: Vec<u8>,
}

fn sayings() -> impl Strategy<Value = Vec<Saying>> {
    let kind = prop_oneof![Just("created"), Just("updated"), Just("destroyed")];
    let one = (0..4u8, kind, proptest::collection::vec(0..4u8, 0..3));
    proptest::collection::vec(one.prop_map(|(id, kind, fees)| Saying { id, kind, fees }), 1..30)
}

fn payload(saying: &Saying, version: usize) -> String {
    let id = saying.id;
    if saying.kind == "destroyed" {
        return event("booking_destroyed", "Booking", &format!(r#"{{"links":{{}},"id":{id}}}"#));
    }
    let ids: Vec<String> = saying.fees.iter().map(u8::to_string).collect();
    let fees: Vec<String> =
        ids.iter().map(|id| format!(r#"{{"id":{id},"name":"{version}"}}"#)).collect();
    let (ids, fees) = (ids.join(","), fees.join(","));
    let data = format!(
        r#"{{"id":{id},"name":"{version}","links":{{"bookings_fees":[{ids}]}},"bookings_fees":[{fees}]}}"#
    );
    event(&format!("booking_{}", saying.kind), "Booking", &data)
}

/// Rows by the last message that names them.
fn truth(sayings: &[Saying]) -> (Value, Value) {
    let (mut bookings, mut fees) = (BTreeMap::new(), BTreeMap::new());
    for (version, saying) in sayings.iter().enumerate().map(|(i, saying)| (i + 1, saying)) {
        if saying.kind == "destroyed" {
            bookings.remove(&saying.id);
            continue;
        }
        bookings.insert(saying.id, version);
        fees.extend(saying.fees.iter().map(|id| (*id, version)));
    }
    let rows = |rows: BTreeMap<u8, usize>| {
        rows.into_iter()
            .map(|(id, version)| json!({ "id": id, "name": version.to_string() }))
            .collect()
    };
    (Value::Array(rows(bookings)), Value::Array(rows(fees)))
}

async fn state(database: &Database) -> (Value, Value) {
    (
        names(database).await,
        rows(database, "select synced_id as id, name from fees order by synced_id").await,
    )
}

async fn emptied(database: &Database) {
    sqlx::raw_sql("truncate bookings, fees, dionysus.guards, dionysus.consumer_offsets")
        .execute(&database.pool)
        .await
        .unwrap();
}

/// Runs an async property on generated cases; a failing case is printed whole.
fn property<S: Strategy>(cases: u32, strategy: &S, run: &impl AsyncFn(&Database, &S::Value))
where
    S::Value: Clone,
{
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(database());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(strategy, |value| {
        runtime.block_on(async {
            emptied(&database).await;
            run(&database, &value).await;
        });
        Ok(())
    });
    // Its pool belongs to the runtime.
    runtime.block_on(async move { drop(database) });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn batches_of_any_size_end_as_the_last_records_say() {
    let strategy = (sayings(), proptest::collection::vec(1..8usize, 30));
    property(60, &strategy, &async |database, (sayings, sizes)| {
        let mut topic = Partition::new(database, "v3_bookings").await;
        let records: Vec<Record> = sayings
            .iter()
            .enumerate()
            .map(|(i, saying)| {
                topic.message(&payload(saying, i + 1), Some((i64::try_from(i).unwrap() + 1, 0)))
            })
            .collect();
        let mut rest = records.as_slice();
        for size in sizes {
            let (batch, after) = rest.split_at((*size).min(rest.len()));
            topic.apply(batch).await;
            rest = after;
        }
        assert_eq!(state(database).await, truth(sayings));
    });
}

#[test]
fn messages_that_come_by_two_topics_in_any_order_end_the_same() {
    let strategy = (
        sayings(),
        proptest::collection::vec(any::<bool>(), 30),
        proptest::collection::vec(any::<usize>(), 30),
    );
    property(60, &strategy, &async |database, (sayings, sides, order)| {
        let mut topics = [
            Partition::new(database, "v3_bookings").await,
            Partition::new(database, "v3_bookings_genesis").await,
        ];
        // Some come by both.
        let mut work: Vec<(usize, usize)> =
            (0..sayings.len()).map(|i| (i, usize::from(sides[i]))).collect();
        work.extend(
            (0..sayings.len()).filter(|i| order[*i] % 3 == 0).map(|i| (i, usize::from(!sides[i]))),
        );
        work.sort_by_key(|(i, side)| order[*i].rotate_left(u32::try_from(*side).unwrap()));
        for (i, side) in work {
            let message = payload(&sayings[i], i + 1);
            topics[side].one(&message, Some((i64::try_from(i).unwrap() + 1, 0))).await;
        }
        assert_eq!(state(database).await, truth(sayings));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_write_the_same_rows_at_once_end_the_same() {
    let database = database().await;
    let topics = ["v3_a", "v3_b", "v3_c", "v3_d"];
    let last = 200;
    let tasks: Vec<_> = topics
        .into_iter()
        .enumerate()
        .map(|(n, topic)| {
            let pool = database.pool.clone();
            let made = Partition::new(&database, topic);
            (n, pool, made)
        })
        .collect();
    let mut running = Vec::new();
    for (n, _, made) in tasks {
        let mut topic = made.await;
        running.push(tokio::spawn(async move {
            // Each topic brings every fourth version, its instances in an order of its own.
            let records: Vec<Record> = (1..=last)
                .filter(|version| version % 4 == n)
                .map(|version| {
                    let data = format!(r#"{{"id":{},"name":"{version}","links":{{"bookings_fees":[{}]}},"bookings_fees":[{{"id":{},"name":"{version}"}}]}}"#, version % 7, version % 5, version % 5);
                    let order = Some((i64::try_from(version).unwrap(), 0));
                    topic.message(&event("booking_updated", "Booking", &data), order)
                })
                .collect();
            for batch in records.chunks(6) {
                topic.apply(batch).await;
            }
        }));
    }
    for task in running {
        task.await.unwrap();
    }
    let newest = |ids: usize| -> Vec<Value> {
        (0..ids)
            .map(|id| json!({ "id": id, "name": (last - (last - id) % ids).to_string() }))
            .collect()
    };
    assert_eq!(state(&database).await, (Value::Array(newest(7)), Value::Array(newest(5))));
}
