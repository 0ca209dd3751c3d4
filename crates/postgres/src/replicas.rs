//! The user's tables that replicas live in: what the catalog says of them, and set-based writes.
//!
//! Values travel as arrays of text, one a column, and are cast by Postgres to the type that the catalog names: one statement for any number of
//! rows, no limit on parameters, no code a type. What a cast can't do right is in [`Column`]: times without zone are brought to UTC, bytes are the
//! string's, length limits raise instead of cutting.
//!
//! None of these statements judges anything: [`guards`](crate::guards) did.

mod catalog;
mod column;
mod write;

pub use catalog::{Table, describe};
pub use column::Column;
pub use write::{Rows, delete, delete_remembering, quoted, stale, upsert};
