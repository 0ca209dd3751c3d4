//! What stands still, says why, and goes on.

use serde_json::json;

use crate::support::{Message, event, updated, within, world};

/// The partitions of two keys, in a topic of two partitions.
fn two_partitions() -> (&'static str, &'static str) {
    let of = |key: &str| dionysus_core::partition_of(key, 2);
    let find = |partition| {
        ["1", "2", "3", "4", "5", "6", "7", "8"]
            .into_iter()
            .find(|key| of(key) == partition)
            .unwrap()
    };
    (find(0), find(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_message_stops_its_partition_alone_until_it_is_skipped() {
    let world = world(2).await;
    let (zero, one) = two_partitions();
    let named = |id: i64, name: &str, version, key| -> Message<'_> {
        (event("rental_updated", &json!({ "id": id, "name": name })), Some(version), key)
    };
    world
        .publish(&[
            named(1, "before", 1, zero),
            ("{\"message\":1, \"secret\": \"hunter2\"}".into(), Some(2), zero),
            named(1, "after", 3, zero),
            named(2, "elsewhere", 4, one),
        ])
        .await;
    let consumer = world.run();
    let fault = within("fault", consumer.progress.faulted(&world.topic, 0)).await.unwrap();
    consumer.applied(&world.topic, 1, 1).await;
    assert_eq!(world.names().await, [(1, "before".into()), (2, "elsewhere".into())]);
    assert!(fault.contains(&format!("{}[0]@1", world.topic)), "{fault}");
    assert!(!fault.contains("hunter2"), "{fault}");

    // The remedy is a statement, and it is what the fault says.
    let statement =
        fault[fault.find("update dionysus").unwrap()..].trim_end_matches(')').to_owned();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&world.database.pool).await.unwrap();
    consumer.applied(&world.topic, 0, 3).await;
    assert_eq!(world.names().await, [(1, "after".into()), (2, "elsewhere".into())]);
    assert_eq!(
        consumer.progress.partitions().values().filter(|place| place.fault.is_some()).count(),
        0
    );
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_written_is_found_among_many_and_named() {
    let world = world(1).await;
    let mut messages: Vec<_> = (0..100).map(|n| updated(n, "fine", n + 1)).collect();
    let bad = json!({ "id": 1, "name": "x", "links": { "account": "hunter2" } });
    messages[70] = (event("rental_updated", &bad), Some(71), "1");
    world.publish(&messages).await;
    let consumer = world.run();
    let fault = within("fault", consumer.progress.faulted(&world.topic, 0)).await.unwrap();
    assert!(fault.contains(&format!("{}[0]@70", world.topic)), "{fault}");
    assert!(fault.contains("SQLSTATE 22P02"), "{fault}");
    assert!(!fault.contains("hunter2"), "{fault}");
    assert_eq!(world.names().await.len(), 70, "everything before it is applied");

    sqlx::raw_sql("alter table rentals alter column account_id type text")
        .execute(&world.database.pool)
        .await
        .unwrap();
    // The types of columns are looked up at the start.
    consumer.stop().await;
    let consumer = world.run();
    consumer.applied(&world.topic, 0, 100).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_outside_the_log_is_an_error_that_names_genesis() {
    let world = world(1).await;
    world.publish(&[updated(1, "a", 1)]).await;
    sqlx::query("insert into dionysus.consumer_offsets values ($1, $1, 0, 99)")
        .bind(&world.topic)
        .execute(&world.database.pool)
        .await
        .unwrap();
    let consumer = world.run();
    let fault = within("fault", consumer.progress.faulted(&world.topic, 0)).await.unwrap();
    assert!(fault.contains("not in the log"), "{fault}");
    assert!(fault.contains("genesis"), "{fault}");
    assert_eq!(world.names().await, []);
    // It is looked at again: no restart is needed.
    sqlx::query("delete from dionysus.consumer_offsets")
        .execute(&world.database.pool)
        .await
        .unwrap();
    consumer.applied(&world.topic, 0, 1).await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminated_sessions_lose_and_repeat_nothing() {
    let world = world(1).await;
    let consumer = world.run();
    for round in 0..5 {
        let from = round * 200 + 1;
        let many: Vec<_> = (from..from + 200).map(|n| updated(n % 20, &n.to_string(), n)).collect();
        world.publish(&many).await;
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
            .execute(&world.database.pool)
            .await
            .ok();
    }
    consumer.applied(&world.topic, 0, 1_000).await;
    let report = consumer.stop().await;
    assert_eq!(report.messages, 1_000);
    assert!(world.names().await.iter().all(|(_, name)| name.parse::<i64>().unwrap() > 980));
}
