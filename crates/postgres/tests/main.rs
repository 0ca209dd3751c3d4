//! Every statement against a real Postgres.

mod lanes;
mod outbox;
mod plans;
mod schema;
mod support;
mod window;
