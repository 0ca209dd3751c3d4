//! What the pair promises of itself, asked of the real relay, Kafka and consumer as well: a double that its original would fail is wrong.
//!
//! One application with one model runs through all cases, each with instances of its own. A [`Subject`] is what carries its messages.

mod cases;
mod world;

use dionysus_core::ReplicaMapping;

use crate::{LogRecord, Message, TestDatabase};

pub use self::world::COPIES;

/// What carries committed events into logs and replicas. Its methods panic where they fail.
pub trait Subject {
    /// The database of outbox and replicas.
    fn database(&self) -> &TestDatabase;

    /// The namespace of its topics, which no other run has.
    fn namespace(&self) -> &str;

    /// How many partitions a topic has.
    fn partitions(&self) -> u32;

    /// Returns when everything that is committed is in its log, and everything in the log of the consumer's topic is applied.
    fn settle(&mut self) -> impl Future<Output = ()>;

    /// The log of a topic, ordered within each partition. The messages' partition keys are not looked at.
    fn log(&mut self, topic: &str) -> impl Future<Output = Vec<LogRecord>>;

    /// Puts messages at the end of the log, in this order, and settles.
    fn append(&mut self, messages: Vec<Message>) -> impl Future<Output = ()>;
}

/// The database that a subject is to have.
pub async fn database() -> TestDatabase {
    TestDatabase::with_sql(world::TABLES).await
}

/// The primary topic, which has a twin.
pub fn topic(namespace: &str) -> String {
    format!("{namespace}_rentals")
}

/// What the consumer is to keep of the primary topic.
pub fn mapping() -> ReplicaMapping {
    world::mapping()
}

/// Runs all cases.
///
/// # Panics
/// At the first promise that is not kept.
pub async fn run(mut subject: impl Subject) {
    let application = world::Application::start(&subject).await;
    let mut scene = cases::Scene { application, subject: &mut subject };
    scene.committed_events_arrive_in_order_and_others_never().await;
    scene.a_message_is_its_row_with_our_headers().await;
    scene.an_instance_keeps_its_partition_and_the_twin_has_it_all().await;
    scene.a_transaction_that_commits_late_comes_late_and_holds_nothing_up().await;
    scene.one_transaction_gives_one_message_for_an_instance().await;
    scene.a_repeated_message_changes_nothing().await;
    scene.what_is_destroyed_stays_destroyed().await;
    scene.the_newest_wins_in_any_order_and_over_any_gap().await;
    scene.a_null_value_is_passed_over().await;
    scene.a_captured_row_is_rendered().await;
    scene.a_message_of_the_gem_is_applied().await;
}
