//! A Postgres, a Kafka-protocol broker and a Redis that the process starts itself: for tries, examples and tests.
//!
//! | server | what it is | takes |
//! | --- | --- | --- |
//! | [`Postgres`] | the machine's programs, else downloaded ones, on a private data folder | a second |
//! | [`Broker`] | an in-process broker, its log in memory | a millisecond |
//! | [`Kafka`] | Apache Kafka as a child process, fetched once with Maven; needs Java 17 | three seconds |
//! | [`Redis`] | the machine's `redis-server`, its keys in memory | a moment |
//!
//! Each listens on a free port of 127.0.0.1 and ends with this process, however that ends: a process killed with
//! `SIGKILL` leaves neither a server nor its data. Nothing needs root, and nothing minds it.
//!
//! ```no_run
//! use dionysus_embedded::{Broker, Postgres, PostgresOptions};
//!
//! # async fn example() -> Result<(), dionysus_embedded::Error> {
//! let postgres = Postgres::start(PostgresOptions::default()).await?;
//! let shop = postgres.create_database("shop").await?;
//! let broker = Broker::start().await?;
//! println!("DATABASE_URL={shop} KAFKA_BROKERS={}", broker.bootstrap());
//! postgres.stop().await;
//! # Ok(()) }
//! ```
//!
//! Features: `download` (default) fetches Postgres from Maven Central when the machine has none.

mod binaries;
mod broker;
mod cache;
#[cfg(feature = "download")]
mod download;
mod error;
mod kafka;
mod port;
mod postgres;
mod redis;
mod sandbox;
mod supervisor;
pub mod testing;
mod user;

pub use binaries::Binaries;
pub use broker::Broker;
pub use error::Error;
pub use kafka::{KAFKA_VERSION, Kafka, KafkaOptions};
pub use postgres::{Postgres, PostgresOptions};
pub use redis::Redis;
pub use sandbox::Sandbox;
