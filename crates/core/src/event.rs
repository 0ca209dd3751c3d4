//! What happened to an instance.

use std::fmt;

/// Created, updated or destroyed, of one instance.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// The instance is new, or visible again after a soft delete.
    Created,
    /// It changed.
    Updated,
    /// It is gone, or soft-deleted.
    Destroyed,
}

impl EventKind {
    /// The suffix of an event name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Destroyed => "destroyed",
        }
    }

    /// The kind of an event by its name's end, as the gem decides it: the underscore is not asked for (spec §3.1).
    /// `None` for any other name, which a consumer ignores (spec §7.8).
    pub fn of_event(name: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Destroyed]
            .into_iter()
            .find(|kind| name.ends_with(kind.as_str()))
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_from_the_end_of_the_name() {
        assert_eq!(EventKind::of_event("rental_created"), Some(EventKind::Created));
        assert_eq!(EventKind::of_event("updated"), Some(EventKind::Updated));
        assert_eq!(EventKind::of_event("xdestroyed"), Some(EventKind::Destroyed));
        assert_eq!(EventKind::of_event("rental_archived"), None);
    }
}
