//! What a lane keeps back: rows that can't be published, and the later rows of their keys.
//!
//! # States of a row
//! ```text
//!            refused alone, or its key is held
//!   read ───────────────────────────────────────> set aside (memory)
//!                                                       │  the lane's prefix passes it, and the checkpoint
//!                                                       │  that says so inserts it, in one statement
//!                                                       v
//!   published <── taken ── released <── its turn ── in quarantine (Postgres) ── skip, drop ──> given up
//!   and removed                │                        ^
//!                              └──── refused again ─────┘
//! ```
//! A row is known by (lane, number). Its *turn* comes when it is the first of its key and somebody asks for a retry, its time has come, or it was
//! only ever waiting behind another.
//!
//! # Which rows
//! Refused alone means: larger than its topics accept, or not to be rendered, both found before it is handed over; or refused by a broker as the
//! only message of its batch. A broker refuses a whole batch, so what it refused is sent again by a second, *careful* client with one message in each
//! batch. What concerns a whole topic (no right to write, no such topic) stops the lane, and a broker that is away sets nothing aside: both are waited for.
//!
//! # What is certain
//! - Nothing of a key is handed over while a row of it is kept back: memory knows the keys of the rows that are set aside, and those of the table are read
//!   before a lane is active. So no later row overtakes.
//! - A stored cursor never passes a row that is neither acknowledged nor in the table: the statement that stores one inserts the other, under the same
//!   epoch.
//! - A request acts on rows of the table alone, so never before the cursor has passed them: what the lane itself has in flight of that key is acknowledged by then.
//! - A key is free when the removal of its last row has committed, and nothing of it is set aside. Until then its rows follow the first into the table.
//!
//! # What may happen
//! - A crash between acknowledgement and removal: the released rows are sent again, from the first of the key on.
//! - A crash between setting aside and checkpoint: the rows are read again, and refused again.
//!
//! # Bounds
//! Rows in quarantine and set aside, a lane: [`quarantine_max`](crate::RelayOptions::quarantine_max); one more stops the lane, and says so. Rows of
//! one release: 500.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dionysus_postgres::quarantine::Held;

/// The wait before a refused row is tried again by itself: doubles with each try up to the second bound. What refuses a row is mended by people, in
/// hours.
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_MAX: Duration = Duration::from_hours(1);

/// What one lane keeps back.
#[derive(Debug, Default)]
pub(crate) struct KeptBack {
    /// Rows in the table, by key.
    stored: BTreeMap<String, u64>,
    /// Rows that are set aside, in order of the log.
    aside: Vec<Aside>,
    /// How many of these each key has.
    aside_keys: HashMap<String, usize>,
    /// Rows that a broker refused alone, with what it said: set aside when they are read again, and known until they are stored.
    refused: HashMap<i64, String>,
}

/// A row that is set aside.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) seq: i64,
    pub(crate) key: String,
    pub(crate) created_at: DateTime<Utc>,
    /// What refused it; `None` for a row behind one.
    pub(crate) cause: Option<String>,
    /// Messages of the lane before it; `None` once the acknowledged prefix has passed it.
    pub(crate) after: Option<u64>,
}

impl KeptBack {
    /// Whether rows of this key are kept back, so that a later one must be too.
    pub(crate) fn holds(&self, key: &str) -> bool {
        (!self.stored.is_empty() && self.stored.contains_key(key))
            || (!self.aside.is_empty() && self.aside_keys.contains_key(key))
    }

    /// What a broker said to this very row.
    pub(crate) fn refusal(&self, seq: i64) -> Option<&String> {
        if self.refused.is_empty() { None } else { self.refused.get(&seq) }
    }

    /// A broker refused this row as the only one of its batch.
    pub(crate) fn note_refusal(&mut self, seq: i64, cause: String) {
        self.refused.insert(seq, cause);
    }

    /// Rows in the table and set aside.
    pub(crate) fn rows(&self) -> u64 {
        self.stored.values().sum::<u64>() + u64::try_from(self.aside.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn has_stored(&self) -> bool {
        !self.stored.is_empty()
    }

    pub(crate) fn set_aside(&mut self, row: Aside) {
        *self.aside_keys.entry(row.key.clone()).or_default() += 1;
        self.aside.push(row);
    }

    /// The acknowledged prefix holds so many messages.
    pub(crate) fn settle(&mut self, messages: u64) {
        for row in &mut self.aside {
            row.after = row.after.filter(|after| *after >= messages);
        }
    }

    /// The lane starts again behind its prefix: what lies beyond will be read again.
    pub(crate) fn restart(&mut self) {
        self.retain(|row| row.after.is_none());
    }

    /// The rows that the next checkpoint of the lane must store.
    pub(crate) fn to_store<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = Held<'a>> {
        self.passed().map(move |row| Held {
            topic,
            seq: row.seq,
            created_at: row.created_at,
            cause: row.cause.as_deref(),
            retry_in: row.cause.is_some().then(|| retry_in(0)),
        })
    }

    pub(crate) fn has_unstored(&self) -> bool {
        self.passed().next().is_some()
    }

    /// That checkpoint has committed.
    pub(crate) fn stored(&mut self) {
        for row in self.aside.iter().filter(|row| row.after.is_none()) {
            self.refused.remove(&row.seq);
            *self.stored.entry(row.key.clone()).or_default() += 1;
        }
        self.retain(|row| row.after.is_some());
    }

    /// What the table holds, read anew.
    pub(crate) fn replace_stored(&mut self, keys: BTreeMap<String, u64>) {
        self.stored = keys;
    }

    fn passed(&self) -> impl Iterator<Item = &Aside> {
        self.aside.iter().filter(|row| row.after.is_none())
    }

    fn retain(&mut self, keep: impl Fn(&Aside) -> bool) {
        self.aside.retain(keep);
        self.aside_keys.clear();
        for row in &self.aside {
            *self.aside_keys.entry(row.key.clone()).or_default() += 1;
        }
    }
}

/// When a row that was tried so often is tried again: doubling, up to a bound, and jittered so that rows that were refused together do not come back together.
pub(crate) fn retry_in(attempts: u32) -> Duration {
    let wait = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(attempts.min(16))).min(RETRY_MAX);
    wait.mul_f64(rand::random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: i64, key: &str, after: u64) -> Aside {
        let cause = (seq % 10 == 0).then(|| "too large".to_owned());
        Aside { seq, key: key.into(), created_at: DateTime::UNIX_EPOCH, cause, after: Some(after) }
    }

    fn seqs(kept: &KeptBack) -> Vec<i64> {
        kept.to_store("t").map(|row| row.seq).collect()
    }

    #[test]
    fn a_row_is_stored_once_the_prefix_has_passed_it_and_its_key_stays_held() {
        let mut kept = KeptBack::default();
        kept.set_aside(row(10, "a", 3));
        kept.set_aside(row(11, "a", 4));
        kept.set_aside(row(12, "b", 5));
        kept.settle(3);
        assert_eq!(seqs(&kept), [0; 0], "three messages lie before it, it is the fourth");
        kept.settle(5);
        assert_eq!(seqs(&kept), [10, 11]);
        assert!(kept.to_store("t").map(|row| row.retry_in.is_some()).eq([true, false]));
        kept.stored();
        assert!(kept.holds("a") && kept.holds("b") && !kept.holds("c"));
        assert_eq!((seqs(&kept), kept.rows()), (vec![], 3));
        kept.replace_stored(BTreeMap::new());
        assert!(!kept.holds("a") && kept.holds("b"));
    }

    #[test]
    fn a_restart_forgets_what_will_be_read_again_and_nothing_else() {
        let mut kept = KeptBack::default();
        kept.note_refusal(10, "refused".into());
        kept.set_aside(row(10, "a", 0));
        kept.set_aside(row(21, "b", 7));
        kept.settle(1);
        kept.restart();
        assert!(kept.refusal(10).is_some(), "until it is stored it may be read again");
        assert!(kept.holds("a") && !kept.holds("b"));
        assert_eq!(seqs(&kept), [10]);
        kept.settle(0);
        assert_eq!(seqs(&kept), [10], "what was passed stays passed, whatever is counted anew");
        kept.stored();
        assert_eq!(kept.refusal(10), None);
    }

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        assert!(retry_in(0) <= RETRY_FIRST.mul_f64(1.2) && retry_in(0) >= RETRY_FIRST.mul_f64(0.8));
        assert!(retry_in(40) <= RETRY_MAX.mul_f64(1.2));
        let waits: Vec<_> = (0..8).map(|_| retry_in(3)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
