//! What the end-to-end tests are written with: a reader of the raw Kafka log, the history checker, processes that can be killed.
//!
//! Servers come from `DATABASE_URL` and `KAFKA_BROKERS` (the suite's second pass uses Apache Kafka), else embedded ones are started.

mod history;
mod log;
mod process;
mod wait;

pub use history::{Committed, History, Verdict};
pub use log::{LogRecord, read_log};
pub use process::{Process, binary};
pub use wait::eventually;
