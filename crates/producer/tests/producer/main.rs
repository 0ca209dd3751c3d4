//! The producer against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test has nobody to return an error to")]
#![expect(clippy::redundant_closure_for_method_calls, reason = "declarations read alike")]

mod aggregates;
mod bulk;
mod connect;
mod fixture;
mod golden;
mod log;
mod nesting;
mod order;
mod recording;
mod refusals;
mod suppressed;
mod tombstones;
mod trace_context;
mod transitions;
mod views;
mod wake_up;
mod weaknesses;
