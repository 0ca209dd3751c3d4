//! End to end: real Postgres, a real log, faults. Each test prints its seed and its figures.

mod crash;
mod golden;
mod models;
mod open_transaction;
mod torture;
