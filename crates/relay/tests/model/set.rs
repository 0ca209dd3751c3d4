//! Small sets in one byte: states are hashed and copied millions of times.

use std::fmt;

/// A set of rows, or of keys.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub(crate) struct Set(pub(crate) u8);

impl Set {
    pub(crate) fn has(self, member: usize) -> bool {
        self.0 >> member & 1 == 1
    }

    pub(crate) fn of(member: usize) -> Self {
        Self(1 << member)
    }

    pub(crate) fn insert(&mut self, member: usize) {
        self.0 |= 1 << member;
    }

    pub(crate) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    pub(crate) fn below(end: usize) -> Self {
        Self(!(u8::MAX << end))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One more than the highest member.
    pub(crate) fn end(self) -> usize {
        (u8::BITS - self.0.leading_zeros()) as usize
    }

    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = usize> {
        (0..8).filter(move |&member| self.has(member))
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
