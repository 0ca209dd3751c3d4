//! Publishes what an application changes, from inside its own transactions.
//!
//! # Why
//! A change that is committed and then sent can be lost between the two; one that is sent and then committed may never have
//! happened. Here the event is a row that commits with the change, or not at all; a relay carries committed rows to Kafka.
//!
//! # Guarantees
//! *At least once, in order per key, from committed transactions only.*
//! - A change and its events commit or roll back as one, savepoints included.
//! - A snapshot is frozen when it is staged. Several changes of one instance in one transaction give one message per topic, with the
//!   last snapshot.
//! - Per instance, messages follow each other in the order of commits, if the struct that is staged comes from a statement of this
//!   transaction that locked its row (`returning *`, `for update`).
//! - What Kafka could not take (too large, no key) is refused when it is staged, and the transaction can go on.
//! - Nothing of this needs Kafka to be up.
//!
//! # Example
//! ```no_run
//! # mod app {
//! use dionysus_derive::Publishable; // `dionysus::Publishable` in an application
//!
//! #[derive(sqlx::FromRow, Publishable)]
//! # #[publishable(crate = "dionysus_core")]
//! #[publishable(model = "Rental", table = "rentals")]
//! pub struct Rental {
//!     pub id: i64,
//!     pub account_id: i64,
//!     pub name: String,
//! }
//! # }
//! # use app::Rental;
//! # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! use dionysus_producer::{Outbox, Topology};
//!
//! let topology = Topology::builder()
//!     .namespace("v3", |ns| ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>()))
//!     .build()?;
//! let outbox = Outbox::connect(pool, topology).await?;
//!
//! let mut tx = outbox.begin().await?; // a transaction of sqlx, and a stage for its events
//! let rental: Rental = sqlx::query_as("insert into rentals (account_id, name) values ($1, $2) returning *")
//!     .bind(7_i64)
//!     .bind("Villa Saganaki")
//!     .fetch_one(&mut *tx)
//!     .await?;
//! tx.created(&rental)?; // staged, in memory
//! tx.commit().await?; // one statement for all events, commit, wake-up
//! # Ok(())
//! # }
//! ```
//!
//! # Which call
//! | you have | call |
//! | --- | --- |
//! | an instance, and know what happened | [`created`](OutboxTransaction::created), [`updated`](OutboxTransaction::updated), [`destroyed`](OutboxTransaction::destroyed) |
//! | its states before and after | [`changed`](OutboxTransaction::changed): soft delete, restore and updates that changed nothing are told apart |
//! | many instances | [`created_all`](OutboxTransaction::created_all) and its like |
//! | an id | [`created_by_id`](OutboxTransaction::created_by_id), [`updated_by_id`](OutboxTransaction::updated_by_id): read at commit |
//! | a part of an aggregate, or a model that others observe | the same calls: roots and dependants follow, as the topology declares ([`with`](TopicBuilder::with), [`observe`](TopicBuilder::observe)) |
//! | a key that compaction is to forget | [`tombstone`](OutboxTransaction::tombstone) |
//! | changes that nobody is to hear of | [`suppressed`](OutboxTransaction::suppressed) |
//! | a transaction of your own | [`Outbox::begin_on`] or [`Outbox::stage`] |
//!
//! # Errors
//! One type, [`Error`]; [`Error::remedy`] says what to do. A refusal while staging leaves the transaction usable; a failure
//! of [`OutboxTransaction::commit`] rolls everything back.

mod bulk;
mod coalesce;
mod depth;
mod derived;
mod draft;
mod error;
mod instance;
mod instance_key;
mod outbox;
mod read;
mod settle;
mod stage;
mod staged;
mod suppressed;
mod topology;
mod trace_context;
mod transaction;
mod transition;
mod wake_up;
mod write;

pub use dionysus_core::{AttributeInfo, HasPart, LinkInfo, Part, PartInfo, Publishable};

pub use error::Error;
pub use instance_key::InstanceKey;
pub use outbox::{Outbox, OutboxOptions};
pub use read::Readable;
pub use stage::Stage;
pub use suppressed::Suppressed;
pub use topology::{
    Mistake, NamespaceBuilder, Path, PathThrough, PublishedModel, PublishedTopic, TopicBuilder,
    Topology, TopologyBuilder,
};
pub use trace_context::TraceContext;
pub use transaction::OutboxTransaction;
pub use wake_up::WakeUps;
