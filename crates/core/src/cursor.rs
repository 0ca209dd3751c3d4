//! The cursor of a lane: how far it has come, as a Postgres snapshot.
//!
//! # Why
//! Rows of the outbox become visible when their transaction commits, not when they draw their number. A relay that
//! remembers the highest number it has seen skips the rows of a transaction that drew a lower one and commits later; a relay
//! that flags rows pays a write, a dead tuple and a lock for each. A snapshot says exactly which transactions had finished,
//! so two of them bound exactly the rows that became visible in between.
//!
//! # The rule
//! For a lane whose cursor is snapshot `S`, at a later snapshot `C`, the new rows are those with
//!
//! ```text
//! (xid = any(transactions that S lists as in progress and C does not)  or  xid >= S.xmax)
//!     and pg_visible_in_snapshot(xid, C)
//! ```
//!
//! in order of `seq`. The windows tile: a row is in exactly one of `(S0, S1], (S1, S2], ...`. This is PgQ's batch rule. Late commits
//! come in the window in which they commit; roll-backs and savepoints leave nothing; a transaction that stays open for
//! an hour delays no other row.
//!
//! Two tempting variants are wrong, and were measured so: an additional `seq > floor` loses rows; ordering by `(xid, seq)`
//! inverts keys, because the transaction with the lower id may take the row lock second.
//!
//! # Invariant
//! Per key the order of `seq` is the order of commits, because a row is inserted while its instance's row is locked.
//! Across windows it holds as well: of two transactions on one key the second draws its number after the first has committed, so
//! no later window can bring a lower number of that key.
//!
//! # What it survives
//! - *A relay that dies*: the cursor is stored only after everything before it was acknowledged; at worst rows are sent again.
//! - *A window of ten million rows*: it is read in chunks with `C` fixed; the place inside is part of the cursor ([`Cursor::Inside`]),
//!   and costs the same memory for any size.
//! - *A crash of Postgres*: ids and numbers whose write-ahead log was not flushed are used again. A snapshot from before the crash may
//!   claim to have seen rows that come later. Therefore a cursor is valid only once a write that began after its snapshot was
//!   taken has committed synchronously. Storing it is such a write. The copies in memory are thrown away with the connection, or
//!   when the token of the unlogged table `dionysus.incarnation` has changed.

use std::fmt;
use std::str::FromStr;

/// A `pg_snapshot`: which transactions had finished at one moment.
///
/// Its text form is Postgres's own, `xmin:xmax:xip,xip,...` (manual, "Transaction ID and Snapshot Information Functions").
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    /// In progress, ascending.
    xip: Vec<u64>,
}

/// A text that is not a `pg_snapshot`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is not a pg_snapshot")]
pub struct ParseSnapshotError {
    /// What was given, cut to 100 characters.
    pub text: String,
}

impl Snapshot {
    /// The snapshot that has seen nothing: a new lane starts at the beginning of the retained outbox.
    pub const fn beginning() -> Self {
        Self { xmin: 1, xmax: 1, xip: Vec::new() }
    }

    /// The lowest transaction id that was in progress.
    pub const fn xmin(&self) -> u64 {
        self.xmin
    }

    /// The first transaction id that had not begun.
    pub const fn xmax(&self) -> u64 {
        self.xmax
    }

    /// The transactions in progress, ascending.
    pub fn in_progress(&self) -> &[u64] {
        &self.xip
    }

    /// Whether the effects of a committed transaction are in the snapshot: `pg_visible_in_snapshot`.
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.xip.binary_search(&xid).is_err())
    }

    /// The transactions that this snapshot lists as in progress and `later` does not.
    pub fn finished_by(&self, later: &Self) -> Vec<u64> {
        self.xip.iter().copied().filter(|&xid| later.sees(xid)).collect()
    }

    /// Whether a row of `xid` is new between this snapshot and `later`.
    pub fn brings(&self, later: &Self, xid: u64) -> bool {
        !self.sees(xid) && later.sees(xid)
    }

    /// Whether this snapshot sees everything that `other` sees, and so may follow it as the end of a window.
    pub fn covers(&self, other: &Self) -> bool {
        self.xmax >= other.xmax && self.xip.iter().all(|&xid| !other.sees(xid))
    }
}

impl FromStr for Snapshot {
    type Err = ParseSnapshotError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseSnapshotError { text: text.chars().take(100).collect() })
    }
}

fn parse(text: &str) -> Option<Snapshot> {
    let mut parts = text.splitn(3, ':');
    let xmin: u64 = parts.next()?.parse().ok()?;
    let xmax: u64 = parts.next()?.parse().ok()?;
    let list = parts.next()?;
    let mut xip = Vec::new();
    if !list.is_empty() {
        for xid in list.split(',') {
            xip.push(xid.parse().ok()?);
        }
    }
    let ordered = xip.windows(2).all(|pair| pair[0] < pair[1]);
    let within = xip.iter().all(|xid| (xmin..xmax).contains(xid));
    (xmin >= 1 && xmin <= xmax && ordered && within).then_some(Snapshot { xmin, xmax, xip })
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (i, xid) in self.xip.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{xid}")?;
        }
        Ok(())
    }
}

/// How far a lane has come.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Cursor {
    /// Every row that the snapshot sees.
    At(Snapshot),
    /// Every row that `from` sees, and of the window `(from, to]` the rows up to `seq`.
    Inside {
        /// Where the window begins.
        from: Snapshot,
        /// Where it ends.
        to: Snapshot,
        /// The last row, by number. [`Cursor::WINDOW_START`] stands before the first.
        seq: i64,
    },
}

impl Cursor {
    /// Stands before the first row of a window: numbers start at 1.
    pub const WINDOW_START: i64 = 0;

    /// The cursor of a lane that has published nothing.
    pub const fn beginning() -> Self {
        Self::At(Snapshot::beginning())
    }

    /// The snapshot whose rows have all been passed; retention looks at this one, never at the end of a window.
    pub const fn passed(&self) -> &Snapshot {
        match self {
            Self::At(snapshot) | Self::Inside { from: snapshot, .. } => snapshot,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap()
    }

    #[test]
    fn the_text_form_is_postgres_own() {
        for text in ["1:1:", "10:20:10,14,15", "733:733:"] {
            assert_eq!(snapshot(text).to_string(), text);
        }
        for text in [
            "",
            "1",
            "1:2",
            "2:1:",
            "0:1:",
            "10:20:9",
            "10:20:20",
            "10:20:12,11",
            "10:20:x",
            "a:b:",
        ] {
            assert!(text.parse::<Snapshot>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_late_commit_comes_in_the_window_in_which_it_commits() {
        let (s0, s1, s2) = (snapshot("10:20:10,14"), snapshot("10:30:10,25"), snapshot("40:40:"));
        assert!(s0.brings(&s1, 14));
        assert!(!s0.brings(&s1, 10) && s1.brings(&s2, 10));
        assert!(!s0.brings(&s1, 25) && s1.brings(&s2, 25));
        assert_eq!(s0.finished_by(&s1), [14]);
        assert!(s1.covers(&s0) && s2.covers(&s1) && !s0.covers(&s1));
    }

    /// A history: each transaction begins and ends at a tick; a snapshot is taken at each of some ticks.
    fn histories() -> impl Strategy<Value = (Vec<(u32, u32)>, Vec<u32>)> {
        let transactions = prop::collection::vec((0_u32..60, 1_u32..40), 1..40)
            .prop_map(|spans| spans.into_iter().map(|(from, len)| (from, from + len)).collect());
        (
            transactions,
            prop::collection::btree_set(0_u32..110, 1..12).prop_map(|s| s.into_iter().collect()),
        )
    }

    /// The snapshot at `tick`: ids are given in order of beginning.
    fn snapshot_at(transactions: &[(u32, u32)], tick: u32) -> Snapshot {
        let begun = transactions.iter().filter(|(begin, _)| *begin < tick).count();
        let open = (1..).zip(&transactions[..begun]).filter(|(_, (_, end))| *end >= tick);
        let xip: Vec<u64> = open.map(|(xid, _)| xid).collect();
        let xmax = u64::try_from(begun).unwrap() + 1;
        Snapshot { xmin: xip.first().copied().unwrap_or(xmax), xmax, xip }
    }

    proptest! {
        #[test]
        fn windows_tile((mut transactions, ticks) in histories()) {
            transactions.sort_unstable();
            let mut cursor = Snapshot::beginning();
            let mut seen = vec![0; transactions.len()];
            for tick in ticks.into_iter().chain([1000]) {
                let next = snapshot_at(&transactions, tick);
                prop_assert!(next.covers(&cursor), "{next} after {cursor}");
                let finished = cursor.finished_by(&next);
                for (i, count) in seen.iter_mut().enumerate() {
                    let xid = i as u64 + 1;
                    let by_index = (finished.contains(&xid) || xid >= cursor.xmax()) && next.sees(xid);
                    prop_assert_eq!(by_index, cursor.brings(&next, xid));
                    *count += u32::from(by_index);
                }
                cursor = next;
            }
            prop_assert!(seen.iter().all(|&n| n == 1), "each transaction in exactly one window: {seen:?}");
        }
    }
}
