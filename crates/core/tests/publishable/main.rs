//! Derived models against the recordings of the gem.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod aggregates;
mod contract;
mod model_names;
mod support;
