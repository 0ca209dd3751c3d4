//! Publisher, subscriber and admin against a broker, and their errors against librdkafka's mock cluster.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod faults;
mod harness;
mod publisher;
mod subscriber;
mod tail;
