//! The whole consumer: Kafka on one side, Postgres on the other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod binary;
mod derive;
mod faults;
mod group;
mod health;
mod start;
mod support;
