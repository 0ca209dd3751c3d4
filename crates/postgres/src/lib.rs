//! The schema `dionysus` and every SQL statement of ours, one module a table.
//!
//! Statements are runtime queries (a published library that used checked macros would compile against its user's
//! database), schema-qualified, and each is run by a test.
//!
//! The heart: [`window`] reads the outbox between two snapshots, [`lanes`] stores how far that has come, [`guards`] keeps a replica from
//! moving backwards.

pub mod capture;
pub mod enqueued;
mod error;
pub mod genesis_runs;
pub mod guards;
pub mod incarnation;
pub mod instances;
pub mod lanes;
pub mod offsets;
pub mod outbox;
pub mod partitions;
pub mod quarantine;
pub mod relays;
pub mod replicas;
pub mod retention;
pub mod rights;
pub mod schema;
pub mod timeline;
pub mod topics;
pub mod waiting;
pub mod window;

pub use error::Error;
