//! The number that orders all snapshots of a key.

use std::fmt;

/// One database-issued number that orders all snapshots of a key: the `seq` of the row (design §4). No clock takes part in it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version(pub i64);

/// Orders messages of one [`Version`]: `epoch << 32 | chunk attempt` for genesis, never used twice; 0 for a row.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AsOf(pub i64);

impl AsOf {
    /// The value of a message that is a row of the outbox.
    pub const ROW: Self = Self(0);
}

impl Version {
    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl AsOf {
    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
