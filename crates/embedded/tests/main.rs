//! The servers as their users see them. One binary, so that they are linked once.

#![expect(clippy::unwrap_used, reason = "clippy exempts test functions, not what they call")]

mod kafka;
mod lifetime;
mod postgres;
mod redis;
