//! Every statement against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capture;
mod guards;
mod lanes;
mod offsets;
mod outbox;
mod plans;
mod quarantine;
mod replicas;
mod retention;
mod schema;
mod support;
mod timeline;
mod waiting;
mod window;
