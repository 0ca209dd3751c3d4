//! What the end-to-end tests are written with: seeds that repeat a schedule, a reader of the raw Kafka log, the history checker, processes
//! that can be killed.
//!
//! Servers come from `DATABASE_URL` and `KAFKA_BROKERS` (the suite's second pass uses Apache Kafka), else embedded ones are started.
//! `DIONYSUS_SEED` repeats the schedule of a run that failed.

mod binaries;
mod broker;
mod database;
mod history;
mod http;
mod log;
mod process;
mod report;
mod seed;
mod turn;
mod wait;

pub use binaries::{ConsumerProcess, RelayProcess, ReplicaOf};
pub use broker::broker_is_embedded;
pub use database::{committed, connect, drained};
pub use history::{Committed, History, Verdict};
pub use http::{free_address, http_get, metric};
pub use log::{LogRecord, read_log, read_records};
pub use process::{Finished, Process, binary};
pub use report::{figure, now_ms};
pub use seed::Seed;
pub use turn::alone;
pub use wait::{eventually, eventually_within};
