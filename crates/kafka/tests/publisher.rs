use std::time::Duration;

use dionysus_core::partition_of;
use dionysus_kafka::{Admin, Error, OutgoingMessage, PublishError, PublisherOptions};

use crate::harness::{PATIENCE, config, message, publisher, topic};
use crate::subscriber::read;

#[tokio::test]
async fn every_message_is_acknowledged_once_and_read_back_as_it_was() {
    let config = config().await;
    let topic = topic(&config, 12).await;
    let (publisher, heard) = publisher(&config, &PublisherOptions::default());
    assert_eq!(publisher.refresh_topic(&topic).await.unwrap(), 12);
    let headers: [(&str, &[u8]); 3] = [("dionysus-version", b"1"), ("h", b""), ("h", b"again")];
    for ticket in 0..5_000_usize {
        let (key, payload) = (format!("Rental:{ticket}"), format!("{{\"id\":{ticket}}}"));
        let message = OutgoingMessage {
            topic: &topic,
            partition_key: Some(&(ticket % 50).to_string()),
            key: key.as_bytes(),
            payload: (!ticket.is_multiple_of(7)).then_some(payload.as_bytes()),
            headers: &headers,
        };
        publisher.publish(&message, ticket).unwrap();
    }
    publisher.flush(PATIENCE).await.unwrap();
    let mut outcomes = heard.outcomes();
    outcomes.sort_unstable_by_key(|(ticket, _)| *ticket);
    assert!(outcomes.iter().enumerate().all(|(i, (ticket, o))| *ticket == i && o.is_ok()));
    assert_eq!(outcomes.len(), 5_000);

    let read = read(&config, &topic, 5_000).await;
    for (partition, record) in &read {
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let ticket: usize = key.strip_prefix("Rental:").unwrap().parse().unwrap();
        let expected = partition_of(&(ticket % 50).to_string(), 12);
        assert_eq!(u32::try_from(*partition).unwrap(), expected);
        let payload =
            (!ticket.is_multiple_of(7)).then(|| format!("{{\"id\":{ticket}}}").into_bytes());
        assert_eq!(record.payload, payload);
        assert_eq!(record.header("dionysus-version"), Some(b"1".as_slice()));
        assert_eq!(record.headers[2], ("h".to_owned(), b"again".to_vec()));
        assert!(record.timestamp_ms.is_some());
    }
    assert_eq!(read.len(), 5_000);
}

#[tokio::test]
async fn without_partition_key_the_message_key_chooses() {
    let config = config().await;
    let topic = topic(&config, 12).await;
    let (publisher, _) = publisher(&config, &PublisherOptions::default());
    publisher.refresh_topic(&topic).await.unwrap();
    for ticket in 0..100 {
        let key = format!("Rental:{ticket}");
        let message = OutgoingMessage { partition_key: None, ..message(&topic, &key) };
        publisher.publish(&message, ticket).unwrap();
    }
    publisher.flush(PATIENCE).await.unwrap();
    for (partition, record) in read(&config, &topic, 100).await {
        let key = String::from_utf8(record.key.unwrap()).unwrap();
        assert_eq!(u32::try_from(partition).unwrap(), partition_of(&key, 12), "{key}");
    }
}

#[tokio::test]
async fn a_missing_topic_is_noticed_before_hand_over_and_not_created() {
    let config = config().await;
    let missing = dionysus_embedded::testing::topic("missing");
    let (publisher, heard) = publisher(&config, &PublisherOptions::default());
    let refused = publisher.publish(&message(&missing, "k"), 1).unwrap_err();
    assert_eq!(refused, PublishError::UnknownPartitions { topic: missing.clone() });
    let error = publisher.refresh_topic(&missing).await.unwrap_err();
    assert!(matches!(&error, Error::UnknownTopic { topic } if *topic == missing), "{error:?}");
    assert!(!Admin::new(&config).unwrap().topics().await.unwrap().contains_key(&missing));
    assert!(heard.outcomes().is_empty());
}

#[tokio::test]
async fn messages_of_a_partition_keep_the_order_of_hand_over() {
    let config = config().await;
    let topic = topic(&config, 1).await;
    crate::harness::fill(&config, &topic, 2_000).await;
    let keys: Vec<usize> = read(&config, &topic, 2_000)
        .await
        .into_iter()
        .map(|(_, record)| String::from_utf8(record.key.unwrap()).unwrap().parse().unwrap())
        .collect();
    assert!(keys.into_iter().eq(0..2_000));
}

#[tokio::test]
async fn a_lone_message_is_not_kept_waiting() {
    let config = config().await;
    let topic = topic(&config, 1).await;
    let options = PublisherOptions::default();
    let (publisher, heard) = publisher(&config, &options);
    publisher.refresh_topic(&topic).await.unwrap();
    publisher.publish(&message(&topic, "first"), 0).unwrap();
    heard.wait_for(1).await;
    let started = std::time::Instant::now();
    publisher.publish(&message(&topic, "second"), 1).unwrap();
    heard.wait_for(2).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn closing_ends_the_client_when_all_is_said() {
    let config = config().await;
    let topic = topic(&config, 1).await;
    let (publisher, heard) = publisher(&config, &PublisherOptions::default());
    publisher.refresh_topic(&topic).await.unwrap();
    for ticket in 0..1_000 {
        publisher.publish(&message(&topic, "k"), ticket).unwrap();
    }
    publisher.close().await.unwrap();
    assert_eq!(heard.outcomes().len(), 1_000);
}
