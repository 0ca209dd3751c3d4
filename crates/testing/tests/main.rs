//! What users of the crate see: assertions, databases, the pair.

#![expect(clippy::unwrap_used, reason = "clippy exempts test functions, not what they call")]

mod assertions;
mod conformance;
mod database;
mod fixture;
mod lifecycle;
mod pair;
