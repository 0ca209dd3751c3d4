//! Every statement against a real Postgres.

mod guards;
mod lanes;
mod offsets;
mod outbox;
mod plans;
mod replicas;
mod schema;
mod support;
mod window;
