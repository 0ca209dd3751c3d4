//! Vocabulary and pure policy of Dionysus: names, keys, envelope, versions, the snapshot cursor. No I/O, no runtime.
//!
//! Applications name the crate `dionysus`, which re-exports what they need.

mod cursor;
mod event;
pub mod headers;
mod names;
mod partition;
mod version;

pub use cursor::{Cursor, ParseSnapshotError, Snapshot};
pub use event::EventKind;
pub use names::{GENESIS_SUFFIX, Model, NameError, Topic};
pub use partition::partition_of;
pub use version::{AsOf, Version};
