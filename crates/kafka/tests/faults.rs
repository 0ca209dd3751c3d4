//! Faults, injected by librdkafka's mock cluster.

use std::time::{Duration, Instant};

use dionysus_kafka::{
    ClientConfig, DeliveryError, Disposition, Error, PublishError, PublisherOptions, StartAt,
    Subscriber, SubscriberEvent, SubscriberOptions, TopicPartition,
};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::harness::{PATIENCE, message, publisher};
use crate::subscriber::{SILENCE, assigned};

const TOPIC: &str = "v3_rentals";

fn cluster() -> (MockCluster<'static, DefaultProducerContext>, ClientConfig) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let config = ClientConfig::new(cluster.bootstrap_servers());
    (cluster, config)
}

#[tokio::test]
async fn a_full_queue_is_said_so_and_a_purge_reports_every_ticket() {
    let (cluster, config) = cluster();
    let options = PublisherOptions { queue_messages: 100, ..PublisherOptions::default() };
    let (publisher, heard) = publisher(&config, &options);
    publisher.refresh_topic(TOPIC).await.unwrap();
    cluster.broker_down(1).unwrap();
    let mut taken = 0;
    let refused = loop {
        match publisher.publish(&message(TOPIC, "k"), taken) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused, taken), (PublishError::QueueFull, 100));
    let error = publisher.flush(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, Error::Flush { in_flight: 100.., .. }), "{error:?}");
    publisher.purge();
    let mut outcomes = heard.wait_for(100).await;
    outcomes.sort_unstable_by_key(|(ticket, _)| *ticket);
    assert!(outcomes.iter().enumerate().all(|(i, (ticket, outcome))| {
        *ticket == i && matches!(outcome, Err(DeliveryError::Purged { .. }))
    }));
    // The client is still good.
    assert!(publisher.fatal_error().is_none());
    cluster.broker_up(1).unwrap();
    publisher.publish(&message(TOPIC, "k"), 100).unwrap();
    assert_eq!(heard.wait_for(101).await[100], (100, Ok(())));
}

#[tokio::test]
async fn a_message_that_is_not_acknowledged_in_time_fails() {
    let (cluster, config) = cluster();
    let message_timeout = Duration::from_millis(500);
    let options = PublisherOptions { message_timeout, ..PublisherOptions::default() };
    let (publisher, heard) = publisher(&config, &options);
    publisher.refresh_topic(TOPIC).await.unwrap();
    cluster.broker_down(1).unwrap();
    publisher.publish(&message(TOPIC, "k"), 1).unwrap();
    let outcome = heard.wait_for(1).await[0].1.unwrap_err();
    assert_eq!(outcome, DeliveryError::TimedOut);
    assert_eq!(outcome.disposition(), Disposition::Resend);
}

#[tokio::test]
async fn a_refusal_by_the_broker_is_fatal_for_the_client() {
    let (cluster, config) = cluster();
    let (publisher, heard) = publisher(&config, &PublisherOptions::default());
    publisher.refresh_topic(TOPIC).await.unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE],
    );
    publisher.publish(&message(TOPIC, "k"), 1).unwrap();
    let outcome = heard.wait_for(1).await[0].1.unwrap_err();
    assert!(matches!(outcome, DeliveryError::Refused { .. }), "{outcome:?}");
    assert_eq!(outcome.disposition(), Disposition::Isolate);
    let fatal = publisher.fatal_error().unwrap();
    assert!(matches!(fatal, Error::Fatal { .. }), "{fatal:?}");
    let refused = publisher.publish(&message(TOPIC, "k"), 2).unwrap_err();
    assert!(matches!(refused, PublishError::Fatal { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_topic_without_rights_is_told_from_a_bad_message() {
    let (cluster, config) = cluster();
    let (publisher, heard) = publisher(&config, &PublisherOptions::default());
    publisher.refresh_topic(TOPIC).await.unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    publisher.publish(&message(TOPIC, "k"), 1).unwrap();
    let outcome = heard.wait_for(1).await[0].1.unwrap_err();
    assert_eq!(outcome.disposition(), Disposition::StopTopic, "{outcome:?}");
}

#[tokio::test]
async fn a_lost_connection_is_retried_without_anybody_noticing() {
    let (cluster, config) = cluster();
    let (publisher, heard) = publisher(&config, &PublisherOptions::default());
    publisher.refresh_topic(TOPIC).await.unwrap();
    let lost = RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT;
    cluster.request_errors(RDKafkaApiKey::Produce, &[lost, lost]);
    publisher.publish(&message(TOPIC, "k"), 1).unwrap();
    assert_eq!(heard.wait_for(1).await, [(1, Ok(()))]);
    assert!(publisher.fatal_error().is_none());
}

#[tokio::test]
async fn dropping_returns_at_once_and_every_ticket_is_heard_of() {
    let (cluster, config) = cluster();
    let (publisher, heard) = publisher(&config, &PublisherOptions::default());
    publisher.refresh_topic(TOPIC).await.unwrap();
    cluster.broker_down(1).unwrap();
    for ticket in 0..10 {
        publisher.publish(&message(TOPIC, "k"), ticket).unwrap();
    }
    let started = Instant::now();
    drop(publisher);
    assert!(started.elapsed() < Duration::from_millis(200), "{:?}", started.elapsed());
    let outcomes = heard.wait_for(10).await;
    assert!(outcomes.iter().all(|(_, o)| matches!(o, Err(DeliveryError::Purged { .. }))));
}

#[tokio::test]
async fn options_that_contradict_each_other_are_an_error() {
    let (_cluster, config) = cluster();
    let options = PublisherOptions {
        message_timeout: Duration::from_millis(5),
        linger: Duration::from_secs(1),
        ..PublisherOptions::default()
    };
    let sink = std::sync::Arc::new(crate::harness::Heard::default());
    let error = dionysus_kafka::Publisher::new(&config, &options, sink).unwrap_err();
    assert!(matches!(error, Error::Client { .. }), "{error:?}");
}

#[tokio::test]
async fn an_unknown_property_is_an_error_that_names_it() {
    let (_cluster, mut config) = cluster();
    config.properties.insert("no.such.thing".into(), "1".into());
    let error = Subscriber::new(&config, &SubscriberOptions::new("g")).unwrap_err();
    assert!(matches!(&error, Error::Property { key, .. } if key == "no.such.thing"), "{error:?}");
}

#[tokio::test]
async fn a_subscriber_says_that_no_broker_answers_and_goes_on_when_one_does() {
    let (cluster, config) = cluster();
    cluster.broker_down(1).unwrap();
    let subscriber = Subscriber::new(&config, &SubscriberOptions::new("g")).unwrap();
    subscriber.subscribe(&[TOPIC.to_owned()]).unwrap();
    let error = subscriber.next(1, 1, PATIENCE).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    cluster.broker_up(1).unwrap();
    let assigned = loop {
        match subscriber.next(1, 1, PATIENCE).await {
            Ok(events) if !events.is_empty() => break events,
            Ok(_) => {}
            Err(error) => assert!(error.is_unreachable(), "{error:?}"),
        }
    };
    assert_eq!(assigned.len(), 1);
    subscriber.start_at(TOPIC, 0, StartAt::Beginning).await.unwrap();
}

#[tokio::test]
async fn a_second_member_takes_partitions_over_and_the_first_keeps_the_rest() {
    // Not on the embedded broker: a member that rejoins within 20 ms, as here, makes it forget the one that waits.
    let (cluster, config) = cluster();
    cluster.create_topic("v3_bookings", 4, 1).unwrap();
    // The mock cluster waits for nearly that long in each of the three rebalances.
    let session_timeout = Duration::from_secs(6);
    let options = SubscriberOptions { session_timeout, ..SubscriberOptions::new("g") };
    let subscribed = || {
        let subscriber = Subscriber::new(&config, &options).unwrap();
        subscriber.subscribe(&["v3_bookings".to_owned()]).unwrap();
        subscriber
    };
    let first = subscribed();
    assigned(&first, 4).await;
    let second = subscribed();
    // Both must be served for the group to come to rest.
    let taking = tokio::spawn(async move {
        let taken = assigned(&second, 2).await;
        (second, taken)
    });
    let revoked = loop {
        match &first.next(1, 1, PATIENCE).await.unwrap()[..] {
            [SubscriberEvent::Revoked(revoked)] => break revoked.clone(),
            [] | [SubscriberEvent::Assigned(_)] => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(revoked.len(), 2);
    for TopicPartition { topic, partition } in &revoked {
        let error = first.start_at(topic, *partition, StartAt::Beginning).await.unwrap_err();
        assert!(matches!(error, Error::NotAssigned { .. }), "{error:?}");
    }
    let serving = async {
        loop {
            first.next(1, 1, SILENCE).await.unwrap();
        }
    };
    let (second, mut taken) = tokio::select! {
        taken = taking => taken.unwrap(),
        () = serving => unreachable!("serves for ever"),
    };
    let mut revoked = revoked;
    revoked.sort();
    taken.sort();
    assert_eq!(revoked, taken);
    // Whoever leaves hands over at once.
    second.close().await;
    assert_eq!(assigned(&first, 2).await.len(), 2);
}
