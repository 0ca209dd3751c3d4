//! The service as its clients and its consumers see it: requests by HTTP, what becomes of them read from Kafka.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod interleaved;
mod process;
mod published;
mod refused;
mod replica;
mod service;
