//! Orders with their lines over HTTP, published as aggregates from the transactions that change them.

mod begin;
mod error;
mod models;
mod retry;
mod routes;
mod state;
mod topology;

pub use state::{AppState, serve};
