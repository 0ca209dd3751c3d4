use std::collections::BTreeMap;

use dionysus_kafka::{Admin, ClientConfig, Error, NewTopic};

use crate::harness::{config, topic};

#[tokio::test]
async fn topics_are_created_once_with_their_settings() {
    let config = config().await;
    let admin = Admin::new(&config).unwrap();
    let wanted = NewTopic {
        name: dionysus_embedded::testing::topic("admin"),
        partitions: 3,
        replication: 1,
        config: BTreeMap::from([("max.message.bytes".to_owned(), "123456".to_owned())]),
    };
    let created = admin.create_topics(std::slice::from_ref(&wanted)).await.unwrap();
    assert_eq!(created, [wanted.name.as_str()]);
    assert!(admin.create_topics(std::slice::from_ref(&wanted)).await.unwrap().is_empty());
    assert_eq!(admin.topics().await.unwrap()[&wanted.name].partitions, 3);
    assert_eq!(admin.max_message_bytes(&wanted.name).await.unwrap(), 123_456);
}

#[tokio::test]
async fn the_size_that_a_topic_accepts_has_a_default() {
    let config = config().await;
    let topic = topic(&config, 1).await;
    let admin = Admin::new(&config).unwrap();
    assert_eq!(admin.max_message_bytes(&topic).await.unwrap(), 1_048_588);
}

#[tokio::test]
async fn a_topic_that_cannot_be_is_refused_and_named() {
    let admin = Admin::new(&config().await).unwrap();
    let wanted = NewTopic { name: "no/such/name".into(), partitions: 1, ..NewTopic::default() };
    let error = admin.create_topics(&[wanted]).await.unwrap_err();
    assert!(matches!(&error, Error::Topic { topic, .. } if topic == "no/such/name"), "{error:?}");
}

#[tokio::test]
async fn the_size_of_a_missing_topic_is_an_error() {
    let admin = Admin::new(&config().await).unwrap();
    let error = admin.max_message_bytes("missing").await.unwrap_err();
    assert!(matches!(&error, Error::UnknownTopic { topic } if topic == "missing"), "{error:?}");
    assert!(error.remedy().unwrap().contains("dionysus topics create"));
}

#[tokio::test]
async fn brokers_that_do_not_answer_are_named_without_credentials() {
    // Port 1 is never ours.
    let admin = Admin::new(&ClientConfig::new("user:hunter2@127.0.0.1:1")).unwrap();
    let error = admin.topics().await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert_eq!(error.to_string(), "no Kafka broker answers at 127.0.0.1:1");
    assert!(!error.remedy().unwrap().contains("hunter2"));
}
