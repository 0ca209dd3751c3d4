//! What the pair of `dionysus-testing` promises, asked of the real relay, the real consumer and the Kafka between them.

#![expect(clippy::unwrap_used, reason = "a subject that cannot go on fails the test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dionysus_e2e::{ConsumerProcess, Process, ReplicaOf, drained, eventually};
use dionysus_embedded::testing;
use dionysus_kafka::{
    Admin, ClientConfig, DeliveryError, DeliverySink, NewTopic, OutgoingMessage, Publisher,
    PublisherOptions, StartAt, Subscriber, SubscriberEvent, SubscriberOptions, TopicPartition,
};
use dionysus_postgres::offsets;
use dionysus_testing::conformance::{self, Subject};
use dionysus_testing::{LogRecord, Message, TestDatabase};

const PARTITIONS: u32 = 12;
const LIMIT: Duration = Duration::from_secs(20);

struct Real {
    // Dropped first: a process whose database goes complains.
    _processes: [Process; 2],
    database: TestDatabase,
    namespace: String,
    reader: Reader,
    publisher: Publisher<Accepted>,
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_kafka_and_consumer_keep_the_promises_of_the_pair() {
    let database = conformance::database().await;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let client = ClientConfig::new(&brokers);
    let topic = conformance::topic(&namespace);
    let new = [topic.clone(), format!("{topic}_genesis")].map(|name| NewTopic {
        name,
        partitions: PARTITIONS,
        replication: 1,
        config: [].into(),
    });
    Admin::new(&client).unwrap().create_topics(&new).await.unwrap();
    let mapping = conformance::mapping();
    let replica = ReplicaOf {
        topic: &topic,
        model: &mapping.model,
        table: &mapping.table,
        columns: &conformance::COPIES,
    };
    let consumer = ConsumerProcess::new(&database.url, &brokers, &namespace, &[replica]).unwrap();
    // Settled is what is stored: often, or the test would wait a second each time.
    let relay = Process::start(
        "outbox-relay",
        &[],
        &[
            ("DATABASE_URL", &database.url),
            ("KAFKA_BROKERS", &brokers),
            ("DIONYSUS_RELAY__CHECKPOINT_INTERVAL", "50ms"),
            ("DIONYSUS_LOG__FILTER", "warn,librdkafka=error"),
        ],
    );
    let publisher =
        Publisher::new(&client, &PublisherOptions::default(), Arc::new(Accepted)).unwrap();
    publisher.refresh_topic(&topic).await.unwrap();
    let reader = Reader::new(&client, &new.map(|topic| topic.name));
    conformance::run(Real {
        _processes: [relay.unwrap(), consumer.start().unwrap()],
        reader,
        database,
        namespace,
        publisher,
    })
    .await;
}

impl Subject for Real {
    fn database(&self) -> &TestDatabase {
        &self.database
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    async fn settle(&mut self) {
        drained(&self.database.pool, LIMIT).await.unwrap();
        self.applied().await;
    }

    async fn log(&mut self, topic: &str) -> Vec<LogRecord> {
        self.reader.read(topic).await;
        let of = |it: &&LogRecord| it.message.topic == topic;
        self.reader.log.iter().filter(of).cloned().collect()
    }

    async fn append(&mut self, messages: Vec<Message>) {
        for (ticket, message) in messages.iter().enumerate() {
            let headers: Vec<_> =
                message.headers.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
            let message = OutgoingMessage {
                topic: &message.topic,
                partition_key: message.partition_key.as_deref(),
                key: message.key.as_bytes(),
                payload: message.payload.as_deref(),
                headers: &headers,
            };
            self.publisher.publish(&message, ticket).unwrap();
        }
        self.publisher.flush(LIMIT).await.unwrap();
        self.applied().await;
    }
}

impl Real {
    /// Waits until the consumer has applied its topic up to the end that it has now.
    async fn applied(&self) {
        let topic = conformance::topic(&self.namespace);
        let ends = self.reader.ends(&topic).await;
        let places: Vec<_> =
            ends.iter().map(|(partition, _)| (topic.as_str(), *partition)).collect();
        eventually("the consumer to have applied the log", || async {
            let stored = offsets::load(&self.database.pool, &self.namespace, &places).await.ok()?;
            let passed = |(partition, end): &(i32, i64)| {
                stored.iter().any(|it| it.partition == *partition && it.next_offset >= *end)
            };
            ends.iter().all(passed).then_some(())
        })
        .await;
    }
}

/// Reads the whole log, as it grows.
struct Reader {
    subscriber: Subscriber,
    /// Tells where partitions end, and reads nothing: a question would wait behind each fetch that waits for records.
    bystander: Subscriber,
    log: Vec<LogRecord>,
    /// Up to where each partition was read.
    read: HashMap<(String, i32), i64>,
}

impl Reader {
    fn new(client: &ClientConfig, topics: &[String]) -> Self {
        let options = SubscriberOptions::new(testing::topic("reader"));
        let [subscriber, bystander] = [(); 2].map(|()| Subscriber::new(client, &options).unwrap());
        subscriber.subscribe(topics).unwrap();
        Self { subscriber, bystander, log: Vec::new(), read: HashMap::new() }
    }

    /// The partitions that hold something, and where each ends.
    async fn ends(&self, topic: &str) -> Vec<(i32, i64)> {
        let mut ends = Vec::new();
        for partition in 0..i32::try_from(PARTITIONS).unwrap() {
            let (first, end) = self.bystander.watermarks(topic, partition).await.unwrap();
            if end > first {
                ends.push((partition, end));
            }
        }
        ends
    }

    /// Up to the end that the topic has now.
    async fn read(&mut self, topic: &str) {
        let ends = self.ends(topic).await;
        let started = Instant::now();
        loop {
            let behind = |(partition, end): &(i32, i64)| {
                self.read.get(&(topic.to_owned(), *partition)).is_none_or(|read| read < end)
            };
            if !ends.iter().any(behind) {
                return;
            }
            assert!(started.elapsed() < LIMIT, "{topic} is not read to its end");
            let wait = Duration::from_millis(200);
            for event in self.subscriber.next(1_000, 1 << 20, wait).await.unwrap() {
                self.take(event).await;
            }
        }
    }

    async fn take(&mut self, event: SubscriberEvent) {
        match event {
            SubscriberEvent::Assigned(places) => {
                for TopicPartition { topic, partition } in places {
                    let started = self.subscriber.start_at(&topic, partition, StartAt::Beginning);
                    started.await.unwrap();
                }
            }
            SubscriberEvent::Batch(batch) => {
                self.read.insert((batch.topic.clone(), batch.partition), batch.next_offset);
                for record in batch.records {
                    let message = Message {
                        topic: batch.topic.clone(),
                        partition_key: None,
                        key: String::from_utf8(record.key.unwrap_or_default()).unwrap(),
                        payload: record.payload,
                        headers: record.headers,
                    };
                    let (partition, offset) = (batch.partition, record.offset);
                    self.log.push(LogRecord { partition, offset, message });
                }
            }
            SubscriberEvent::Revoked(_) | SubscriberEvent::Lost(_) => panic!("the only member"),
        }
    }
}

struct Accepted;

impl DeliverySink for Accepted {
    fn delivered(&self, _: usize, outcome: Result<(), DeliveryError>) {
        outcome.unwrap();
    }
}
