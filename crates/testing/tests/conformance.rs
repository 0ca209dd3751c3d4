//! The pair keeps the promises that the real relay, Kafka and consumer keep in the end-to-end suite.

use dionysus_testing::conformance::{self, Subject};
use dionysus_testing::{LogRecord, Message, Pair, TestDatabase};

struct InMemory {
    pair: Pair,
    partitions: u32,
    database: TestDatabase,
}

impl Subject for InMemory {
    fn database(&self) -> &TestDatabase {
        &self.database
    }

    fn namespace(&self) -> &'static str {
        "v3"
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    async fn settle(&mut self) {
        self.pair.deliver().await.unwrap();
    }

    async fn log(&mut self, topic: &str) -> Vec<LogRecord> {
        self.pair.log().iter().filter(|it| it.message.topic == topic).cloned().collect()
    }

    async fn append(&mut self, messages: Vec<Message>) {
        self.pair.consume(messages).await.unwrap();
    }
}

/// With windows read whole, and in chunks of so many rows.
async fn keeps_its_promises(partitions: u32, chunk_rows: u32, batch_records: usize) {
    let database = conformance::database().await;
    let topic = conformance::topic("v3");
    let consumer = database
        .consumer()
        .topic(topic, [conformance::mapping()])
        .batch_records(batch_records)
        .build()
        .unwrap();
    let pair = Pair::new(&database.pool, &consumer).await.unwrap();
    let pair = pair.partitions(partitions).chunk_rows(chunk_rows);
    conformance::run(InMemory { pair, partitions, database }).await;
}

#[tokio::test]
async fn the_pair_keeps_its_promises() {
    keeps_its_promises(12, 5_000, 1_000).await;
}

#[tokio::test]
async fn the_pair_keeps_its_promises_in_chunks_and_batches_of_one() {
    keeps_its_promises(1, 1, 1).await;
}
