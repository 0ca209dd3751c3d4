//! What users test their own code with.
//!
//! # Why
//! An application that publishes wants to know of its own functions: do they enqueue what they should, and nothing when they fail? One that
//! keeps replicas wants to know what its tables hold when messages come twice, late or not at all. Neither needs a broker for that, and both
//! need a real Postgres, since what is tested is a transaction.
//!
//! | to test | there is |
//! | --- | --- |
//! | what a function enqueues | [`assert_enqueued!`], [`refute_enqueued!`], [`assert_enqueued_in_order!`], [`assert_enqueued_exactly!`] |
//! | that a model's whole life is published | [`assert_lifecycle_enqueued`] |
//! | anything, on a database of its own | [`TestDatabase`]: copied, not migrated |
//! | what arrives in the replicas, and what disorder does to them | `Pair`: relay and consumer without Kafka between them |
//!
//! # Guarantees
//! Nothing here is a mock. Assertions read the outbox's table. The pair reads committed rows through the relay's cursor, renders them as the relay
//! does, and applies them with the consumer's own transactions: the same guards, the same tables. One suite holds it, and relay, Kafka and
//! consumer, to the same behaviour.
//!
//! Failures show payloads, on purpose: nobody runs tests on other people's data.
//!
//! # Example
//! ```no_run
//! # mod app {
//! use dionysus_derive::Publishable; // `dionysus::Publishable` in an application
//! #[derive(sqlx::FromRow, Publishable)]
//! # #[publishable(crate = "dionysus_core")]
//! #[publishable(table = "rentals")]
//! pub struct Rental {
//!     pub id: i64,
//!     pub name: String,
//! }
//! # }
//! # use app::Rental;
//! use dionysus_producer::{Outbox, Topology};
//! use dionysus_testing::{TestDatabase, assert_enqueued_exactly};
//! use serde_json::json;
//!
//! async fn create(outbox: &Outbox, name: &str) -> Result<Rental, Box<dyn std::error::Error>> {
//!     let mut tx = outbox.begin().await?;
//!     let sql = "insert into rentals (name) values ($1) returning *";
//!     let rental: Rental = sqlx::query_as(sql).bind(name).fetch_one(&mut *tx).await?;
//!     tx.created(&rental)?;
//!     tx.commit().await?;
//!     Ok(rental)
//! }
//!
//! # /*
//! #[tokio::test]
//! # */
//! async fn a_rental_is_published_with_its_name() -> Result<(), Box<dyn std::error::Error>> {
//!     let database = TestDatabase::with_sql("create table rentals (id bigserial primary key, name text)").await;
//!     let topology = Topology::builder()
//!         .namespace("v3", |ns| ns.topic("rentals", |topic| topic.publish::<Rental>()))
//!         .build()?;
//!     let outbox = database.outbox(topology).await;
//!
//!     let rental = create(&outbox, "Villa").await?;
//!
//!     assert_enqueued_exactly!(&outbox, [
//!         ("rental_created", id = rental.id, topic = "v3_rentals", data = json!({"name": "Villa"})),
//!     ]);
//!     Ok(())
//! }
//! ```
//! A failure reads:
//! ```text
//! the outbox does not hold exactly the 1 expected, but 1
//!
//! in order (- expected, + found):
//!
//!     rental_created Rental:1 to v3_rentals (seq 1)
//!       - data.name = "Villa"
//!       + data.name = "Ville"
//! ```
//!
//! # Features
//! | feature | brings | default |
//! | --- | --- | --- |
//! | `pair` | `Pair` and what belongs to it; builds librdkafka | yes |
//! | `download` | Postgres for a machine that has none, where `DATABASE_URL` names none | yes |

mod assertions;
#[cfg(feature = "_conformance")]
#[doc(hidden)]
pub mod conformance;
mod database;
mod enqueued;
mod error;
mod expected;
mod failure;
mod lifecycle;
#[cfg(feature = "pair")]
mod pair;

pub use database::TestDatabase;
pub use enqueued::{Enqueued, EnqueuedEvent, ReadOutbox};
pub use error::Error;
pub use expected::Expected;
pub use lifecycle::assert_lifecycle_enqueued;
#[cfg(feature = "pair")]
pub use pair::{Delivery, LogRecord, Message, Pair};

/// What the macros expand to. Not for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use crate::assertions::{refuse, require, require_exactly, require_in_order};
}
