//! End to end: real Postgres, a real log, faults. Each test prints its seed and its figures.

mod bad_input;
mod broker_away;
mod crash;
mod golden;
mod large_window;
mod models;
mod open_transaction;
mod refused_row;
mod relays;
mod torture;
