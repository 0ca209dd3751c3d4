//! Vocabulary and pure policy of Dionysus: names, keys, envelope, versions, the snapshot cursor. No I/O, no runtime.
//!
//! Applications name the crate `dionysus`, which re-exports what they need.

mod cursor;
mod envelope;
mod event;
pub mod headers;
mod json;
mod names;
mod partition;
mod publishable;
mod replica;
mod version;

pub use cursor::{Cursor, ParseSnapshotError, Snapshot};
pub use envelope::{encode_message, encode_message_with};
pub use event::EventKind;
pub use json::{Attribute, EncodeError, JsonWriter};
pub use names::{GENESIS_SUFFIX, Model, NameError, Topic};
pub use partition::partition_of;
pub use publishable::{AttributeInfo, Publishable};
pub use replica::{ColumnMapping, MappingError, Removal, Replica, ReplicaMapping};
pub use version::{AsOf, Version};

/// What the derives expand to. Not for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::option::Option;
    pub use std::string::String;
    pub use std::vec;

    pub use crate::{
        Attribute, AttributeInfo, ColumnMapping, JsonWriter, Publishable, Removal, Replica,
        ReplicaMapping,
    };
}
