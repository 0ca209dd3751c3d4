//! Recordings of the gem, met by producer and relay: what lies in the log is what the gem sent.

mod simple_crud;
mod twins;
