use std::time::{Duration, Instant};

use dionysus_kafka::{
    ClientConfig, Error, Record, StartAt, Subscriber, SubscriberEvent, SubscriberOptions,
    TopicPartition,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::harness::{PATIENCE, config, fill, topic};

/// No event within this is taken as none.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);

/// Waits for the assignment of `count` partitions in all.
pub(crate) async fn assigned(subscriber: &Subscriber, count: usize) -> Vec<TopicPartition> {
    let mut all = Vec::new();
    let started = Instant::now();
    while all.len() < count {
        assert!(started.elapsed() < PATIENCE, "{} of {count} partitions assigned", all.len());
        for event in subscriber.next(1, 1, PATIENCE).await.unwrap() {
            let SubscriberEvent::Assigned(partitions) = event else { panic!("{event:?}") };
            all.extend(partitions);
        }
    }
    all
}

/// Reads a topic from its beginning until `count` records have come.
pub(crate) async fn read(config: &ClientConfig, topic: &str, count: usize) -> Vec<(i32, Record)> {
    let group = dionysus_embedded::testing::topic("group");
    let subscriber = Subscriber::new(config, &SubscriberOptions::new(group)).unwrap();
    subscriber.subscribe(&[topic.to_owned()]).unwrap();
    let mut records = Vec::new();
    let started = Instant::now();
    while records.len() < count {
        assert!(started.elapsed() < PATIENCE, "{} of {count} records read", records.len());
        for event in subscriber.next(1_000, 1 << 20, PATIENCE).await.unwrap() {
            match event {
                SubscriberEvent::Assigned(partitions) => {
                    for p in partitions {
                        subscriber
                            .start_at(&p.topic, p.partition, StartAt::Beginning)
                            .await
                            .unwrap();
                    }
                }
                SubscriberEvent::Batch(batch) => {
                    assert_eq!(batch.next_offset, batch.records.last().unwrap().offset + 1);
                    records.extend(batch.records.into_iter().map(|r| (batch.partition, r)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    subscriber.close().await;
    records
}

/// A subscriber that holds the one partition of a topic with `count` records.
async fn holder(config: &ClientConfig, count: usize) -> (Subscriber, String) {
    let topic = topic(config, 1).await;
    fill(config, &topic, count).await;
    let subscriber = Subscriber::new(config, &SubscriberOptions::new(&topic)).unwrap();
    subscriber.subscribe(std::slice::from_ref(&topic)).unwrap();
    assigned(&subscriber, 1).await;
    (subscriber, topic)
}

/// The offsets of the next batch.
async fn offsets(subscriber: &Subscriber, max_records: usize) -> Vec<i64> {
    let events = subscriber.next(max_records, 1 << 20, PATIENCE).await.unwrap();
    let [SubscriberEvent::Batch(batch)] = &events[..] else { panic!("{events:?}") };
    batch.records.iter().map(|record| record.offset).collect()
}

#[tokio::test]
async fn the_end_of_a_log_is_told_and_forgotten_with_the_next_record() {
    let config = config().await;
    let (subscriber, topic) = holder(&config, 3).await;
    subscriber.start_at(&topic, 0, StartAt::Beginning).await.unwrap();
    assert_eq!(offsets(&subscriber, 1).await, [0]);
    assert_eq!(subscriber.ends(&topic, 0).unwrap(), 0, "two more wait");
    assert_eq!(offsets(&subscriber, 2).await, [1, 2]);
    ended(&subscriber, &topic).await;
    fill(&config, &topic, 1).await;
    assert_eq!(offsets(&subscriber, 1).await, [3]);
    ended(&subscriber, &topic).await;
}

/// Reads on until the end is reached; no record comes before.
async fn ended(subscriber: &Subscriber, topic: &str) {
    let started = Instant::now();
    while subscriber.ends(topic, 0).unwrap() == 0 {
        assert!(started.elapsed() < PATIENCE, "the end was not reached");
        assert_eq!(subscriber.next(1, 1, Duration::from_millis(50)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_partitions_of_a_subscriber_start_where_it_is_told() {
    let config = config().await;
    let topic = topic(&config, 1).await;
    fill(&config, &topic, 10).await;
    let subscriber = Subscriber::new(&config, &SubscriberOptions::new(&topic)).unwrap();
    subscriber.subscribe(std::slice::from_ref(&topic)).unwrap();
    assigned(&subscriber, 1).await;
    subscriber.start_at(&topic, 0, StartAt::Offset(7)).await.unwrap();
    let events = subscriber.next(100, 1 << 20, PATIENCE).await.unwrap();
    let [SubscriberEvent::Batch(batch)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(batch.records.iter().map(|r| r.offset).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(batch.next_offset, 10);
}

#[tokio::test]
async fn an_assigned_partition_is_silent_until_it_is_started() {
    let (subscriber, topic) = holder(&config().await, 10).await;
    assert!(subscriber.next(100, 1 << 20, SILENCE).await.unwrap().is_empty());
    subscriber.resume(&topic, 0).unwrap();
    assert!(subscriber.next(100, 1 << 20, SILENCE).await.unwrap().is_empty());
    subscriber.start_at(&topic, 0, StartAt::Beginning).await.unwrap();
    assert_eq!(offsets(&subscriber, 100).await.first(), Some(&0));
}

#[tokio::test]
async fn batches_are_bounded_by_records_and_bytes() {
    let (subscriber, topic) = holder(&config().await, 10).await;
    subscriber.start_at(&topic, 0, StartAt::Beginning).await.unwrap();
    assert_eq!(offsets(&subscriber, 4).await, [0, 1, 2, 3]);
    let events = subscriber.next(100, 1, PATIENCE).await.unwrap();
    let [SubscriberEvent::Batch(batch)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((batch.records.len(), batch.next_offset), (1, 5));
    assert_eq!(offsets(&subscriber, 100).await, [5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_paused_partition_gives_nothing_and_loses_nothing() {
    let config = config().await;
    let (subscriber, topic) = holder(&config, 10).await;
    subscriber.start_at(&topic, 0, StartAt::Beginning).await.unwrap();
    assert_eq!(offsets(&subscriber, 3).await, [0, 1, 2]);
    subscriber.pause(&topic, 0).unwrap();
    assert!(subscriber.next(100, 1 << 20, SILENCE).await.unwrap().is_empty());
    subscriber.resume(&topic, 0).unwrap();
    assert_eq!(offsets(&subscriber, 100).await, [3, 4, 5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn a_running_partition_can_be_rewound() {
    let (subscriber, topic) = holder(&config().await, 10).await;
    subscriber.start_at(&topic, 0, StartAt::Offset(5)).await.unwrap();
    assert_eq!(offsets(&subscriber, 2).await, [5, 6]);
    subscriber.start_at(&topic, 0, StartAt::Offset(2)).await.unwrap();
    assert_eq!(offsets(&subscriber, 100).await, [2, 3, 4, 5, 6, 7, 8, 9]);
    subscriber.start_at(&topic, 0, StartAt::Offset(9)).await.unwrap();
    assert_eq!(offsets(&subscriber, 100).await, [9]);
}

#[tokio::test]
async fn an_offset_outside_the_log_is_an_error_that_names_genesis() {
    let (subscriber, topic) = holder(&config().await, 10).await;
    assert_eq!(subscriber.watermarks(&topic, 0).await.unwrap(), (0, 10));
    let error = subscriber.start_at(&topic, 0, StartAt::Offset(11)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("offset 11 of {topic}[0] lies outside the log (0 to 10)")
    );
    assert!(error.remedy().unwrap().contains("genesis"));
    // Right behind the last record is where a reader that is up to date stands.
    subscriber.start_at(&topic, 0, StartAt::Offset(10)).await.unwrap();
    assert!(subscriber.next(100, 1 << 20, SILENCE).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_partition_of_somebody_else_cannot_be_started() {
    let (subscriber, topic) = holder(&config().await, 1).await;
    let error = subscriber.start_at(&topic, 1, StartAt::Beginning).await.unwrap_err();
    assert!(matches!(error, Error::NotAssigned { partition: 1, .. }), "{error:?}");
    assert!(matches!(subscriber.pause("other", 0), Err(Error::NotAssigned { .. })));
}

#[tokio::test]
async fn a_missing_topic_is_an_error_that_names_it() {
    let missing = dionysus_embedded::testing::topic("missing");
    let subscriber = Subscriber::new(&config().await, &SubscriberOptions::new(&missing)).unwrap();
    subscriber.subscribe(std::slice::from_ref(&missing)).unwrap();
    let error = subscriber.next(1, 1, PATIENCE).await.unwrap_err();
    assert!(matches!(&error, Error::UnknownTopic { topic } if *topic == missing), "{error:?}");
}

#[tokio::test]
async fn control_records_leave_gaps_and_aborted_messages_stay_out() {
    let config = config().await;
    let topic = topic(&config, 1).await;
    let brokers = config.brokers.clone();
    let name = topic.clone();
    tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = rdkafka::ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("transactional.id", &name)
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        for commit in [true, false, true] {
            producer.begin_transaction().unwrap();
            producer.send(BaseRecord::to(&name).key("k").payload("{}")).unwrap();
            if commit {
                producer.commit_transaction(PATIENCE).unwrap();
            } else {
                producer.flush(PATIENCE).unwrap();
                producer.abort_transaction(PATIENCE).unwrap();
            }
        }
    })
    .await
    .unwrap();
    let subscriber = Subscriber::new(&config, &SubscriberOptions::new(&topic)).unwrap();
    subscriber.subscribe(std::slice::from_ref(&topic)).unwrap();
    assigned(&subscriber, 1).await;
    subscriber.start_at(&topic, 0, StartAt::Beginning).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(offsets(&subscriber, 100).await);
    }
    assert_eq!(seen, [0, 4]);
}

#[tokio::test]
async fn committed_offsets_are_there_for_lag_tools() {
    let config = config().await;
    let (subscriber, topic) = holder(&config, 10).await;
    subscriber.commit(&topic, 0, 7).unwrap();
    let group: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &config.brokers)
        .set("group.id", &topic)
        .create()
        .unwrap();
    let started = Instant::now();
    loop {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&topic, 0);
        let committed = group.committed_offsets(asked, PATIENCE).unwrap();
        if committed.elements()[0].offset() == Offset::Offset(7) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{committed:?}");
        assert!(subscriber.next(1, 1, Duration::from_millis(20)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let (subscriber, topic) = holder(&config().await, 500).await;
    subscriber.start_at(&topic, 0, StartAt::Beginning).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 500 {
        tokio::select! {
            biased;
            events = subscriber.next(7, 1 << 20, PATIENCE) => {
                for event in events.unwrap() {
                    let SubscriberEvent::Batch(batch) = event else { panic!("{event:?}") };
                    seen.extend(batch.records.iter().map(|r| r.offset));
                }
            }
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(seen.into_iter().eq(0..500));
}

#[tokio::test]
async fn header_values_may_be_any_bytes() {
    let config = config().await;
    let topic = topic(&config, 1).await;
    let (publisher, heard) =
        crate::harness::publisher(&config, &dionysus_kafka::PublisherOptions::default());
    publisher.refresh_topic(&topic).await.unwrap();
    let headers: [(&str, &[u8]); 2] = [("binary", &[0xff, 0x00]), ("text", b"v")];
    let message = dionysus_kafka::OutgoingMessage {
        headers: &headers,
        ..crate::harness::message(&topic, "k")
    };
    publisher.publish(&message, 1).unwrap();
    heard.wait_for(1).await;
    let (_, record) = read(&config, &topic, 1).await.remove(0);
    assert_eq!(record.header("binary"), Some([0xff, 0x00].as_slice()));
    assert_eq!(record.header("text"), Some(b"v".as_slice()));
}
