//! The producer against a real Postgres.

mod connect;
mod fixture;
mod golden;
mod nesting;
mod order;
mod recording;
mod refusals;
mod wake_up;
