//! Dionysus publishes snapshots of an application's models from its own Postgres transactions, through Kafka, into replicas that never
//! move backwards.
//!
//! # Why
//! A service that writes to its database and then to Kafka loses the message when it dies in between, and sends one for a change that
//! never was when the order is reversed. Here an event is a row that the application's own transaction inserts; a relay carries
//! committed rows to Kafka; a consumer folds them into tables of its own, the newest version of each instance wins.
//!
//! # Guarantees
//! *At least once, in order per key, from committed transactions only; and a replica that never moves backwards.*
//!
//! # Example
#![cfg_attr(feature = "producer", doc = "```no_run")]
#![cfg_attr(not(feature = "producer"), doc = "```ignore")]
//! use chrono::{DateTime, Utc};
//! use dionysus::{Outbox, Publishable, Topology};
//!
//! /// The fields are the attributes that go on the wire.
//! #[derive(sqlx::FromRow, Publishable)]
//! #[publishable(table = "rentals", partition_key = "account_id")]
//! struct Rental {
//!     id: i64,
//!     account_id: i64,
//!     name: String,
//!     created_at: DateTime<Utc>,
//!     updated_at: DateTime<Utc>,
//!     canceled_at: Option<DateTime<Utc>>, // an instance is soft-deleted when it has a value
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = sqlx::PgPool::connect("postgres://localhost/rentals").await?;
//! dionysus::schema::migrate(&pool).await?; // or `dionysus migrate`, once
//!
//! let topology = Topology::builder()
//!     .namespace("v3", |ns| ns.topic("rentals", |topic| topic.publish::<Rental>()))
//!     .build()?;
//! let outbox = Outbox::connect(pool, topology).await?;
//!
//! let mut tx = outbox.begin().await?; // a transaction of sqlx that also stages events
//! let rental: Rental =
//!     sqlx::query_as("insert into rentals (account_id, name) values ($1, $2) returning *")
//!         .bind(7_i64)
//!         .bind("Villa Saganaki")
//!         .fetch_one(&mut *tx)
//!         .await?;
//! tx.created(&rental)?;
//! tx.commit().await?; // the rental and its event, or neither
//! # Ok(())
//! # }
//! ```
//! `outbox-relay` brings the event to the topic `v3_rentals` under the key `Rental:1`. On the other side `outbox-consumer`, or the feature
//! `consumer` with `#[derive(Replica)]`, keeps a table of rentals.
//!
//! # Features
//! | feature | brings | default |
//! | --- | --- | --- |
//! | `producer` | `Outbox`: topology, transactions that stage events | yes |
//! | `relay` | the relay, to run it inside an application; builds librdkafka | no |
//! | `consumer` | the consumer, to run it inside an application; builds librdkafka | no |
//! | `testing` | what you test your code with: `testing::assert_enqueued!`, a database per test; with `consumer` also relay and consumer in memory | no |
//! | `rust_decimal`, `bigdecimal` | decimals of these crates as attributes | no |
//! | `ssl`, `sasl` | these for the Kafka clients of `relay` and `consumer` | no |
//!
//! An application that only produces never builds librdkafka.

pub use dionysus_core::{
    AsOf, Attribute, AttributeInfo, ColumnMapping, EncodeError, EventKind, HasPart, JsonWriter,
    LinkId, LinkInfo, LinkKind, MappingError, Model, NameError, Part, PartField, PartInfo, PartKey,
    Polymorphic, Publishable, Removal, Replica, ReplicaMapping, Schema, SchemaOf, ToMany, ToOne,
    Topic, Version, contract, headers, types,
};
pub use dionysus_derive::{Attribute, Publishable, Replica};
pub use dionysus_postgres::schema;

#[cfg(feature = "producer")]
pub use dionysus_producer::{
    self as producer, Outbox, OutboxOptions, OutboxTransaction, Stage, Topology,
};

#[cfg(feature = "relay")]
pub use dionysus_relay::{self as relay, Relay, RelayOptions};

#[cfg(feature = "consumer")]
pub use dionysus_consumer as consumer;

#[cfg(feature = "testing")]
pub use dionysus_testing as testing;

#[doc(hidden)]
pub use dionysus_core::__private;

/// The example of the README is compiled with the doc tests.
#[cfg(all(doctest, feature = "producer"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So are those of the guides.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guides/payload-contract.md")]
struct PayloadContract;
