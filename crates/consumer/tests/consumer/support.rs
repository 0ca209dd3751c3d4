//! A database, a topic, and a consumer that runs beside the test.

use std::sync::Arc;
use std::time::Duration;

use dionysus_consumer::{
    ClientConfig, ColumnMapping, Consumer, Error, Progress, ReplicaMapping, Report,
};
use dionysus_embedded::testing::{self, Database};
use dionysus_embedded::{Kafka, KafkaOptions};
use dionysus_kafka::{
    Admin, DeliveryError, DeliverySink, NewTopic, OutgoingMessage, Publisher, PublisherOptions,
};
use dionysus_postgres::schema;
use serde_json::Value;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) client: ClientConfig,
    pub(crate) topic: String,
}

/// A migrated database with a table of rentals, and a topic.
pub(crate) async fn world(partitions: u32) -> World {
    world_on(testing::brokers().await, partitions).await
}

/// Brokers for more than one member: a member that rejoins as fast as ours makes the embedded broker forget the one that waits.
pub(crate) async fn real_brokers() -> (Option<Kafka>, String) {
    if std::env::var_os("KAFKA_BROKERS").is_some_and(|brokers| !brokers.is_empty()) {
        return (None, testing::brokers().await);
    }
    let kafka = Kafka::start(KafkaOptions::default()).await.unwrap();
    let brokers = kafka.bootstrap().to_owned();
    (Some(kafka), brokers)
}

pub(crate) async fn world_on(brokers: String, partitions: u32) -> World {
    let database = testing::database().await;
    schema::migrate(&database.pool).await.unwrap();
    sqlx::raw_sql(
        "create table rentals (synced_id bigint primary key, name text, account_id bigint)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let client = ClientConfig::new(brokers);
    let topic = testing::topic("v3_rentals");
    create_topic(&client, &topic, partitions).await;
    World { database, client, topic }
}

pub(crate) async fn create_topic(client: &ClientConfig, name: &str, partitions: u32) {
    let topic =
        NewTopic { name: name.to_owned(), partitions, replication: 1, ..NewTopic::default() };
    Admin::new(client).unwrap().create_topics(&[topic]).await.unwrap();
}

pub(crate) fn rental() -> ReplicaMapping {
    let column = |attribute: &str, column: &str| ColumnMapping {
        attribute: attribute.into(),
        column: column.into(),
    };
    ReplicaMapping {
        columns: vec![column("name", "name"), column("synced_account_id", "account_id")],
        ..ReplicaMapping::new("Rental", "rentals")
    }
}

/// A consumer that runs.
pub(crate) struct Running {
    pub(crate) progress: Progress,
    cancel: CancellationToken,
    task: JoinHandle<Result<Report, Error>>,
}

impl Running {
    pub(crate) async fn applied(&self, topic: &str, partition: i32, next_offset: i64) {
        let applied =
            within("progress", self.progress.applied(topic, partition, next_offset)).await;
        assert!(applied, "the consumer ended");
    }

    pub(crate) async fn stop(self) -> Report {
        self.cancel.cancel();
        within("end", self.task).await.unwrap().unwrap()
    }

    /// Ends it as a crash would: nothing is finished, nobody is told.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(within("end", self.task).await.unwrap_err().is_cancelled());
    }
}

pub(crate) fn run(consumer: Consumer) -> Running {
    let (progress, cancel) = (consumer.progress(), CancellationToken::new());
    let task = tokio::spawn(consumer.run(cancel.clone()));
    Running { progress, cancel, task }
}

/// Whoever waits says for what.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what} in time"))
}

impl World {
    pub(crate) fn consumer(&self) -> Consumer {
        Consumer::builder(self.database.pool.clone(), self.client.clone())
            // A group of its own: the broker is shared.
            .group(&self.topic)
            .topic(&self.topic, [rental()])
            .session_timeout(Duration::from_secs(6))
            .build()
            .unwrap()
    }

    pub(crate) fn run(&self) -> Running {
        run(self.consumer())
    }

    pub(crate) async fn names(&self) -> Vec<(i64, String)> {
        names(&self.database.pool).await
    }

    pub(crate) async fn publish(&self, messages: &[Message<'_>]) {
        publish(&self.client, &self.topic, messages).await;
    }
}

pub(crate) async fn names(pool: &PgPool) -> Vec<(i64, String)> {
    sqlx::query_as("select synced_id, name from rentals order by synced_id")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// A payload, its version, and what chooses the partition.
pub(crate) type Message<'a> = (String, Option<i64>, &'a str);

pub(crate) async fn publish(client: &ClientConfig, topic: &str, messages: &[Message<'_>]) {
    let publisher =
        Publisher::new(client, &PublisherOptions::default(), Arc::new(Accepted)).unwrap();
    publisher.refresh_topic(topic).await.unwrap();
    for (ticket, (payload, version, partition_key)) in messages.iter().enumerate() {
        let version = version.map(|version| version.to_string());
        let headers: Vec<(&str, &[u8])> =
            version.iter().map(|version| ("dionysus-version", version.as_bytes())).collect();
        let payload = Some(payload.as_bytes());
        let message = OutgoingMessage {
            topic,
            partition_key: Some(partition_key),
            key: b"Rental:1",
            payload,
            headers: &headers,
        };
        publisher.publish(&message, ticket).unwrap();
    }
    publisher.flush(PATIENCE).await.unwrap();
}

struct Accepted;

impl DeliverySink for Accepted {
    fn delivered(&self, _: usize, outcome: Result<(), DeliveryError>) {
        outcome.unwrap();
    }
}

pub(crate) fn event(event: &str, data: &Value) -> String {
    serde_json::json!({ "message": [{ "event": event, "model_name": "Rental", "data": [data] }] })
        .to_string()
}

pub(crate) fn updated(id: i64, name: &str, version: i64) -> Message<'static> {
    (event("rental_updated", &serde_json::json!({ "id": id, "name": name })), Some(version), "1")
}
