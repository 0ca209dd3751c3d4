//! What the pair is for beyond what the conformance suite asks of it.

use dionysus_consumer::{Consumer, ConsumerBuilder};
use dionysus_producer::Topology;
use dionysus_testing::{Error, Message, Pair, TestDatabase};

use crate::fixture::{Rental, application, copies, create, destroy, mapping, rename};

fn consumer(database: &TestDatabase) -> ConsumerBuilder {
    database.consumer().topic("v3_rentals", [mapping()])
}

async fn pair(database: &TestDatabase) -> Pair {
    Pair::new(&database.pool, &consumer(database).build().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_delivery_says_what_was_delivered_and_applied() {
    let (database, outbox) = application().await;
    let mut pair = pair(&database).await;
    create(&outbox, "Villa").await;
    create(&outbox, "Cabin").await;
    rename(&outbox, 1, "Villa Saganaki").await;
    let delivery = pair.deliver().await.unwrap();
    let events: Vec<_> = delivery.messages.iter().filter_map(Message::event).collect();
    assert_eq!(events, ["rental_created", "rental_created", "rental_updated"]);
    let report = delivery.report;
    assert_eq!((report.messages, report.applied, report.superseded), (3, 2, 1));
    assert_eq!(copies(&database).await, ["Villa Saganaki", "Cabin"]);
    let again = pair.deliver().await.unwrap();
    assert_eq!((again.messages.len(), again.report.messages), (0, 0));
}

#[tokio::test]
async fn messages_are_dropped_repeated_and_turned_round_by_the_test() {
    let (database, outbox) = application().await;
    let mut pair = pair(&database).await;
    for name in ["Villa", "Cabin", "Tent"] {
        create(&outbox, name).await;
    }
    destroy(&outbox, 2).await;
    let mut messages = pair.publish().await.unwrap();
    assert_eq!((pair.log().len(), copies(&database).await.len()), (0, 0));
    // The tent is lost, the cabin's end comes before its beginning, the villa comes twice.
    messages.remove(2);
    messages.reverse();
    messages.push(messages[2].clone());
    let applied: Vec<_> = {
        let mut applied = Vec::new();
        for message in messages {
            applied.push(pair.consume([message]).await.unwrap().report);
        }
        applied.iter().map(|report| (report.applied, report.stale)).collect()
    };
    assert_eq!(applied, [(1, 0), (0, 1), (1, 0), (1, 0)]);
    assert_eq!(copies(&database).await, ["Villa"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_written_stops_its_partition_where_the_real_consumer_stops() {
    let (database, outbox) = application().await;
    let mut pair = pair(&database).await.partitions(1);
    for name in ["Villa", "forbidden", "Tent"] {
        create(&outbox, name).await;
    }
    for _ in 0..2 {
        let error = pair.deliver().await.unwrap_err();
        let Error::Consumer(dionysus_consumer::Error::Write { offset: 1, .. }) = &error else {
            panic!("{error:?}");
        };
        assert!(error.remedy().is_some());
        assert_eq!(copies(&database).await, ["Villa"]);
    }
    // What an operator does who skips it.
    sqlx::query("update dionysus.consumer_offsets set next_offset = 2")
        .execute(&database.pool)
        .await
        .unwrap();
    pair.deliver().await.unwrap();
    assert_eq!(copies(&database).await, ["Villa", "Tent"]);
}

#[tokio::test]
async fn a_malformed_message_holds_up_its_own_partition_alone() {
    let (database, outbox) = application().await;
    let mut pair = pair(&database).await;
    create(&outbox, "Villa").await;
    let good = pair.publish().await.unwrap().remove(0);
    let bad = Message {
        payload: Some(b"no JSON".to_vec()),
        partition_key: Some("8".into()),
        ..good.clone()
    };
    let error = pair.consume([bad, good]).await.unwrap_err();
    assert!(
        matches!(error, Error::Consumer(dionysus_consumer::Error::Malformed { .. })),
        "{error:?}"
    );
    assert_eq!(copies(&database).await, ["Villa"]);
}

#[tokio::test]
async fn a_later_pair_goes_on_behind_what_the_group_has_applied() {
    let (database, outbox) = application().await;
    create(&outbox, "Villa").await;
    pair(&database).await.deliver().await.unwrap();
    rename(&outbox, 1, "Cabin").await;
    let mut later = pair(&database).await;
    let delivery = later.deliver().await.unwrap();
    // All over again, as a relay that has lost its place: the guards know.
    assert_eq!((delivery.messages.len(), delivery.report.applied), (2, 1));
    assert_eq!(later.log()[0].offset, 1);
    assert_eq!(copies(&database).await, ["Cabin"]);
}

#[tokio::test]
async fn a_pair_is_refused_where_the_real_processes_would_not_start() {
    let database = TestDatabase::new().await;
    let error = Pair::new(&database.pool, &consumer(&database).build().unwrap()).await.unwrap_err();
    assert!(
        matches!(error, Error::Consumer(dionysus_consumer::Error::Replicas { .. })),
        "{error:?}"
    );
    let empty = dionysus_embedded::testing::database().await;
    let nowhere = dionysus_consumer::ClientConfig::new("127.0.0.1:1");
    let consumer = Consumer::builder(empty.pool.clone(), nowhere).group("g");
    let consumer = consumer.topic("v3_rentals", [mapping()]).build().unwrap();
    let error = Pair::new(&empty.pool, &consumer).await.unwrap_err();
    assert!(error.remedy().unwrap().contains("dionysus migrate"), "{error:?}");
}

#[tokio::test]
async fn a_topic_that_is_registered_later_is_published_from_its_beginning() {
    let (database, outbox) = application().await;
    let mut pair = pair(&database).await;
    create(&outbox, "Villa").await;
    pair.deliver().await.unwrap();
    // An application that writes before it registers, as after a roll-back of its release.
    sqlx::query("insert into dionysus.outbox (event_id, topic, key, event, model, model_id, payload)
                 select gen_random_uuid(), 'v4_rentals', key, event, model, model_id, payload from dionysus.outbox")
        .execute(&database.pool)
        .await
        .unwrap();
    assert_eq!(pair.deliver().await.unwrap().messages, []);
    let later = Topology::builder()
        .namespace("v4", |ns| ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>()));
    database.outbox(later.build().unwrap()).await;
    rename(&outbox, 1, "Cabin").await;
    let topics: Vec<_> =
        pair.deliver().await.unwrap().messages.into_iter().map(|it| it.topic).collect();
    assert_eq!(topics, ["v4_rentals", "v4_rentals_genesis", "v3_rentals"]);
}
