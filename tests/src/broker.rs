//! Which broker the tests run against.

/// Whether there is no `KAFKA_BROKERS`, so that `testing::brokers` is the embedded broker, which can less than Apache Kafka: it never
/// hands over the partitions of a group member that was killed.
pub fn broker_is_embedded() -> bool {
    std::env::var_os("KAFKA_BROKERS").is_none_or(|brokers| brokers.is_empty())
}
