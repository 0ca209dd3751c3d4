//! A world: how much there is of everything, and what the protocol is without.

use crate::set::Set;

/// A part of the protocol that can be left out, or done wrongly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Broken {
    /// Rows are handed over without a look at the deadline.
    NoDeadline,
    /// A lost lease leaves librdkafka's queue as it is.
    NoPurge,
    /// Places are stored, and lanes released, whatever the epoch.
    NoEpoch,
    /// The deadline is the whole TTL, though clocks drift.
    NoMargin,
    /// After the deadline librdkafka's threads run before the pump does.
    SlowPump,
    /// The message timeout is below the TTL, but may run on after the deadline.
    LongTimeout,
    /// A rebuilt client's lane forgets which rows behind the settled prefix are acknowledged.
    ForgetsAcknowledged,
    /// What was handed over counts as delivered.
    StoresHandedOver,
    /// Later rows of a refused row's key go on.
    KeysNotHeld,
    /// Exactly-once mode: the broker lets everybody in.
    NoFence,
    /// A chunk is published with the keys that have rows in `(G, C]`.
    KeepsChangedKeys,
    /// `C` is what was acknowledged, while rows behind it have been handed over.
    LaneRunsAhead,
    /// A request about a quarantined row acts before the cursor has passed the row.
    EarlyRequests,
    /// A quarantined row is given up while a release has it on its way.
    DropsInFlight,
    /// A replica takes what comes last.
    NoGuard,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) exactly_once: bool,
    /// The key of each row, in the lane's order.
    pub(crate) rows: &'static [usize],
    /// Rows that are committed in the beginning; the others come at any time.
    pub(crate) committed: usize,
    /// How often the lane is claimed. The last owner lives for ever, so that terminal states show what is lost.
    pub(crate) epochs: usize,
    /// How many Kafka clients fail, or lose an acknowledgement.
    pub(crate) failures: u8,
    /// A row that the broker refuses until the operator has asked for a retry.
    pub(crate) poison: Option<usize>,
    /// The operator may give that row up instead.
    pub(crate) may_drop: bool,
    pub(crate) genesis: bool,
    /// Ticks of a lease.
    pub(crate) ttl: u8,
    /// librdkafka's message timeout, and with it the rule that nothing is handed over that may outlive the lease.
    pub(crate) timeout: Option<u8>,
    pub(crate) broken: &'static [Broken],
}

/// Acknowledgements may come in any order: two partitions.
pub(crate) const TWO_KEYS: Protocol = Protocol {
    exactly_once: false,
    rows: &[0, 1, 0],
    committed: 3,
    epochs: 2,
    failures: 0,
    poison: None,
    may_drop: false,
    genesis: false,
    ttl: 2,
    timeout: None,
    broken: &[],
};

/// The smallest in which a key can be inverted.
pub(crate) const TWO_ROWS: Protocol = Protocol { rows: &[0, 0], committed: 2, ..TWO_KEYS };

impl Protocol {
    pub(crate) fn key(&self, row: usize) -> usize {
        self.rows[row]
    }

    pub(crate) fn without(&self, part: Broken) -> bool {
        self.broken.contains(&part)
    }

    /// Ticks from a heartbeat to the relay's own deadline. A clock loses at most one tick in a lease: so much is the margin.
    pub(crate) fn own_ttl(&self) -> u8 {
        if self.without(Broken::NoMargin) { self.ttl } else { self.ttl - 1 }
    }

    /// The last owner: it neither crashes nor loses its lease.
    pub(crate) fn is_last(&self, session: usize) -> bool {
        session + 1 == self.epochs
    }

    /// The version of a key's last row among the first `seen` ones; 0 without any.
    pub(crate) fn version(&self, key: usize, seen: usize) -> usize {
        (0..seen).rev().find(|&row| self.key(row) == key).map_or(0, |row| row + 1)
    }

    /// Rows of a key.
    pub(crate) fn rows_of(&self, key: usize) -> Set {
        let mut rows = 0;
        for (row, &of) in self.rows.iter().enumerate() {
            rows |= u8::from(of == key) << row;
        }
        Set(rows)
    }
}
