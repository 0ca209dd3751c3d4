//! Vocabulary and pure policy of Dionysus: names, keys, envelope, versions, the snapshot cursor. No I/O, no runtime.
//!
//! Applications name the crate `dionysus`, which re-exports what they need.

mod capture;
pub mod contract;
mod cursor;
mod envelope;
mod event;
pub mod headers;
mod json;
mod names;
mod partition;
mod publishable;
mod replica;
mod schema;
pub mod types;
mod version;

pub use capture::{CaptureError, encode_captured};
pub use cursor::{Cursor, ParseSnapshotError, Snapshot};
pub use envelope::{encode_message, encode_message_with};
pub use event::EventKind;
pub use json::{Attribute, EncodeError, JsonWriter};
pub use names::{GENESIS_SUFFIX, Model, NameError, Topic};
pub use partition::partition_of;
pub use publishable::{
    AttributeInfo, HasPart, LinkId, LinkInfo, LinkKind, Part, PartField, PartInfo, PartKey,
    Polymorphic, Publishable, ToMany, ToOne,
};
pub use replica::{ColumnMapping, MappingError, Removal, Replica, ReplicaMapping};
pub use schema::{Schema, SchemaOf};
pub use version::{AsOf, Version};

/// What the derives expand to. Not for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::option::Option;
    pub use std::string::String;
    pub use std::vec;
    pub use std::vec::Vec;

    pub use crate::publishable::{has_column, is_same};
    pub use crate::schema::{
        polymorphic as polymorphic_schema, returned as returned_schema,
        returned_link as returned_link_schema, returned_links as returned_links_schema,
    };
    pub use crate::{
        Attribute, AttributeInfo, ColumnMapping, HasPart, JsonWriter, LinkInfo, LinkKind,
        PartField, PartInfo, PartKey, Publishable, Removal, Replica, ReplicaMapping, Schema,
        SchemaOf, ToMany, ToOne,
    };
}
