//! The whole consumer: Kafka on one side, Postgres on the other.

mod derive;
mod faults;
mod group;
mod start;
mod support;
