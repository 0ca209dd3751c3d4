//! What all tests of this crate need.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dionysus_kafka::{
    Admin, ClientConfig, DeliveryError, DeliverySink, NewTopic, OutgoingMessage, Publisher,
    PublisherOptions,
};
use tokio::sync::Notify;

/// Far longer than anything here takes; whoever waits says for what.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Outcome = (usize, Result<(), DeliveryError>);

/// Keeps what it hears.
#[derive(Default)]
pub(crate) struct Heard {
    outcomes: Mutex<Vec<Outcome>>,
    more: Notify,
}

impl DeliverySink for Heard {
    fn delivered(&self, ticket: usize, outcome: Result<(), DeliveryError>) {
        self.outcomes.lock().unwrap().push((ticket, outcome));
        self.more.notify_one();
    }
}

impl Heard {
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().clone()
    }

    /// Waits until `count` tickets were heard of.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Outcome> {
        let heard = async {
            while self.outcomes().len() < count {
                self.more.notified().await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, heard).await.is_ok(),
            "heard of {} tickets instead of {count}",
            self.outcomes().len()
        );
        self.outcomes()
    }
}

pub(crate) async fn config() -> ClientConfig {
    ClientConfig::new(dionysus_embedded::testing::brokers().await)
}

/// A new topic.
pub(crate) async fn topic(config: &ClientConfig, partitions: u32) -> String {
    let name = dionysus_embedded::testing::topic("kafka");
    let topic = NewTopic { name: name.clone(), partitions, replication: 1, ..NewTopic::default() };
    let created = Admin::new(config).unwrap().create_topics(&[topic]).await.unwrap();
    assert_eq!(created, [name.as_str()]);
    name
}

pub(crate) fn publisher(
    config: &ClientConfig,
    options: &PublisherOptions,
) -> (Publisher<Heard>, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    (Publisher::new(config, options, Arc::clone(&heard)).unwrap(), heard)
}

pub(crate) fn message<'a>(topic: &'a str, key: &'a str) -> OutgoingMessage<'a> {
    OutgoingMessage {
        topic,
        partition_key: Some("7"),
        key: key.as_bytes(),
        payload: Some(b"{}"),
        headers: &[],
    }
}

/// Publishes keys `0..count` into partition 0 of a topic with one partition.
pub(crate) async fn fill(config: &ClientConfig, topic: &str, count: usize) {
    let (publisher, heard) = publisher(config, &PublisherOptions::default());
    publisher.refresh_topic(topic).await.unwrap();
    for ticket in 0..count {
        publisher.publish(&message(topic, &ticket.to_string()), ticket).unwrap();
    }
    publisher.flush(PATIENCE).await.unwrap();
    assert!(heard.outcomes().iter().all(|(_, outcome)| outcome.is_ok()));
}
