//! The consumer: folds topics into guarded replica tables.
//!
//! The way of a message, one module a step:
//!
//! 1. `session`: a member of the group hands the batches of each partition to that partition's `worker`;
//! 2. `decode`: the gem's envelope becomes canonical records, values still as text; `change`: each record, sideloaded ones too, becomes what it asks of one replica;
//! 3. `fold`: of all changes of an instance only the newest is kept;
//! 4. `apply`: in one transaction the partition's offset takes its step, the guards judge, and what they admit is written, set by set. Why that
//!    order holds is told in [`dionysus_postgres::guards`].
//!
//! [`Consumer`] is all of it behind a builder; the binary `outbox-consumer` is the same with a configuration file ([`ConsumerConfig`]).

mod applier;
mod apply;
mod attempt;
mod backoff;
mod batch;
mod builder;
mod change;
mod check;
mod config;
mod consumer;
mod decode;
mod error;
mod fold;
mod observe;
mod progress;
mod replica;
mod rows;
mod session;
mod time;
mod worker;

#[doc(hidden)]
pub use applier::Applier;
pub use builder::ConsumerBuilder;
pub use check::ReplicaFault;
pub use config::{ConsumerConfig, ConsumerSection, TopicConfig};
pub use consumer::Consumer;
pub use decode::Malformed;
pub use dionysus_core::{ColumnMapping, Removal, Replica, ReplicaMapping};
pub use dionysus_kafka::{ClientConfig, TopicPartition};
pub use error::Error;
pub use observe::ConsumerHealth;
pub use progress::{PartitionProgress, Progress, Report};
