//! End to end: real Postgres, a real log, faults. Each test prints its seed and its figures.

mod bad_input;
mod broker_away;
mod capture;
mod conformance;
mod crash;
mod golden;
mod health;
mod large_window;
mod message_bytes;
mod models;
mod open_transaction;
mod quarantine;
mod redlock;
mod relays;
mod restore;
mod retention;
mod roles;
mod torture;
mod upgrade;
