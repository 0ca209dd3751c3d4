//! Members come, go, and die.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{event, real_brokers, updated, within, world, world_on};

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_the_replica_and_a_restart_goes_on_behind_them() {
    let world = world(1).await;
    world.publish(&[updated(1, "a", 1), updated(2, "b", 2)]).await;
    let first = world.run();
    first.applied(&world.topic, 0, 2).await;
    assert_eq!(world.names().await, [(1, "a".into()), (2, "b".into())]);

    world
        .publish(&[
            updated(1, "c", 3),
            (event("rental_destroyed", &json!({ "links": {}, "id": 2 })), Some(4), "1"),
        ])
        .await;
    first.applied(&world.topic, 0, 4).await;
    assert_eq!(world.names().await, [(1, "c".into())]);
    let report = first.stop().await;
    assert_eq!((report.messages, report.stale, report.fenced), (4, 0, 0));

    world.publish(&[updated(3, "d", 5)]).await;
    let second = world.run();
    second.applied(&world.topic, 0, 5).await;
    assert_eq!(world.names().await, [(1, "c".into()), (3, "d".into())]);
    assert_eq!(second.stop().await.messages, 1, "what the first one applied is not applied again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_loses_and_repeats_nothing() {
    let world = world(1).await;
    let many: Vec<_> = (1..=3_000).map(|n| updated(n % 50, &n.to_string(), n)).collect();
    world.publish(&many).await;
    let mut consumer = world.run();
    for round in 1..=3 {
        consumer.applied(&world.topic, 0, round * 500).await;
        consumer.kill().await;
        consumer = world.run();
    }
    consumer.applied(&world.topic, 0, 3_000).await;
    consumer.stop().await;
    let newest: BTreeMap<i64, String> = (1..=3_000).map(|n: i64| (n % 50, n.to_string())).collect();
    assert_eq!(world.names().await, Vec::from_iter(newest));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_shared_and_each_message_is_applied_once() {
    let (_kafka, brokers) = real_brokers().await;
    let world = world_on(brokers, 6).await;
    let first = world.run();
    let keys: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let messages = |from: i64| -> Vec<_> {
        (from..from + 400)
            .map(|n| {
                (
                    event("rental_updated", &json!({ "id": n % 40, "name": n.to_string() })),
                    Some(n),
                    keys[usize::try_from(n % 40).unwrap()].as_str(),
                )
            })
            .collect()
    };
    world.publish(&messages(1)).await;
    assert!(within("first part", first.progress.until(|report, _| report.messages == 400)).await);

    let second = world.run();
    assert!(within("share", second.progress.until(|_, partitions| !partitions.is_empty())).await);
    world.publish(&messages(401)).await;
    let done = async {
        loop {
            let total = first.progress.report().messages + second.progress.report().messages;
            if total >= 800 {
                return total;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(within("second part", done).await, 800);
    let (first, second) = (first.stop().await, second.stop().await);
    assert_eq!(first.messages + second.messages, 800);
    assert_eq!(first.fenced + second.fenced, 0);
    let newest: BTreeMap<i64, String> = (1..=800).map(|n: i64| (n % 40, n.to_string())).collect();
    assert_eq!(world.names().await, Vec::from_iter(newest));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_somebody_moved_is_followed() {
    let world = world(1).await;
    world.publish(&[updated(1, "a", 1)]).await;
    let consumer = world.run();
    consumer.applied(&world.topic, 0, 1).await;
    // An operator sends the group back to the beginning.
    sqlx::query("update dionysus.consumer_offsets set next_offset = -2")
        .execute(&world.database.pool)
        .await
        .unwrap();
    world.publish(&[updated(1, "b", 2)]).await;
    assert!(
        within(
            "restart",
            consumer.progress.until(|report, _| report.fenced == 1 && report.messages == 3)
        )
        .await
    );
    consumer.stop().await;
    assert_eq!(world.names().await, [(1, "b".into())]);
}
