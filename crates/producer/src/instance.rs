//! An instance without its type: what staging, views and reads at commit share.

use std::any::{Any, TypeId};

use dionysus_core::JsonWriter;

use crate::Publishable;

/// A model's instance behind a pointer. Implemented for every model.
#[expect(clippy::option_option, reason = "as the trait it stands for")]
pub(crate) trait Instance {
    fn as_any(&self) -> &dyn Any;
    /// The Rust type, by which the topology knows it.
    fn of_type(&self) -> TypeId;
    fn id(&self) -> String;
    fn soft_deleted(&self) -> bool;
    /// The text of an attribute; see [`Publishable::partition_key_of`].
    fn text_of(&self, attribute: &str) -> Option<Option<String>>;
    fn write_snapshot(&self, parts: &[&str], out: &mut JsonWriter);
    fn write_destroyed(&self, out: &mut JsonWriter);
}

/// An instance that was read or made from another.
pub(crate) type Owned = Box<dyn Instance + Send>;

impl<M: Publishable + 'static> Instance for M {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn of_type(&self) -> TypeId {
        TypeId::of::<M>()
    }

    fn id(&self) -> String {
        Publishable::id(self)
    }

    fn soft_deleted(&self) -> bool {
        Publishable::soft_deleted(self)
    }

    fn text_of(&self, attribute: &str) -> Option<Option<String>> {
        self.partition_key_of(attribute)
    }

    fn write_snapshot(&self, parts: &[&str], out: &mut JsonWriter) {
        self.write_snapshot_with(parts, out);
    }

    fn write_destroyed(&self, out: &mut JsonWriter) {
        Publishable::write_destroyed(self, out);
    }
}
