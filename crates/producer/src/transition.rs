//! Which event two states of an instance come to (spec §5.3).
//!
//! # The table
//! | from | to | event |
//! | --- | --- | --- |
//! | nothing | an instance, soft-deleted or not | created |
//! | visible | visible, changed | updated |
//! | visible | soft-deleted | destroyed, with the whole snapshot |
//! | soft-deleted | soft-deleted at another time | destroyed, with the whole snapshot |
//! | soft-deleted | soft-deleted, changed elsewhere | none, or updated if the model asks for it |
//! | soft-deleted | visible | created |
//! | any | the same | none |
//! | any | nothing | destroyed, with the id alone |
//!
//! # Where it differs from the gem
//! - *The same* means: the same snapshot and the same partition keys. The gem goes by columns, and publishes again what has not
//!   changed on the wire. Times count in milliseconds, for so they are published.
//! - A changed primary key is a new instance for every consumer: the old key is destroyed, the new one created. The gem publishes
//!   `updated` under the new key, and the old one lives on in every replica.
//! - From null to an empty text, a soft-delete column says that the instance is soft-deleted. The gem raises.

use dionysus_core::{EventKind, Publishable};

/// What happened to one instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transition {
    /// New, or visible again.
    Created,
    /// Changed.
    Updated,
    /// Soft-deleted: published whole.
    SoftDeleted,
    /// The row is gone: published by its id alone.
    Deleted,
    /// Changed while nobody is to see it: no event of its own (see [`coalesce`](crate::coalesce)).
    Unseen,
}

impl Transition {
    /// The event; an unseen change has none, and stands as an update.
    pub(crate) fn kind(self) -> EventKind {
        match self {
            Self::Created => EventKind::Created,
            Self::Updated | Self::Unseen => EventKind::Updated,
            Self::SoftDeleted | Self::Deleted => EventKind::Destroyed,
        }
    }

    /// What `destroyed` means for an instance: with its soft-delete column set, that it was soft-deleted.
    pub(crate) fn destruction<M: Publishable>(instance: &M) -> Self {
        if instance.soft_deleted() { Self::SoftDeleted } else { Self::Deleted }
    }

    /// Two states of an instance with one primary key; `differs` says whether anything else that is published changed.
    pub(crate) fn between<M: Publishable>(
        before: &M,
        after: &M,
        differs: impl FnOnce() -> bool,
    ) -> Option<Self> {
        match (before.soft_deleted(), after.soft_deleted()) {
            (false, true) => Some(Self::SoftDeleted),
            (true, false) => Some(Self::Created),
            (true, true) if soft_deleted_since(before) != soft_deleted_since(after) => {
                Some(Self::SoftDeleted)
            }
            _ if !differs() => None,
            (true, true) if !M::UPDATES_AFTER_SOFT_DELETE => Some(Self::Unseen),
            _ => Some(Self::Updated),
        }
    }
}

/// The text of the soft-delete column.
fn soft_deleted_since<M: Publishable>(instance: &M) -> Option<String> {
    let attribute =
        M::ATTRIBUTES.iter().find(|attribute| Some(attribute.column) == M::SOFT_DELETE)?;
    instance.partition_key_of(attribute.name).flatten()
}
