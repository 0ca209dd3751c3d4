//! The history checker: what was committed against what lies in the log.
//!
//! *Nothing committed is missing, nothing rolled back is present, per key no inversion.* No inversion means (design §11): the first appearances of
//! a key's versions ascend in the raw log, and a repeated stretch runs on to the key's latest.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::LogRecord;

/// An event that the database holds.
#[derive(Clone, Debug, Eq, PartialEq, sqlx::FromRow)]
pub struct Committed {
    /// Its version.
    pub seq: i64,
    /// Its identity.
    pub event_id: Uuid,
    /// Its key.
    pub key: String,
}

/// Both sides.
#[derive(Debug)]
pub struct History<'a> {
    /// The rows of one topic that are committed.
    pub committed: &'a [Committed],
    /// The log of that topic.
    pub log: &'a [LogRecord],
}

/// What was found. [`Verdict::is_sound`] is the promise; duplicates are for the test to judge.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Committed rows.
    pub committed: usize,
    /// Records in the log.
    pub records: usize,
    /// Committed rows that are not in the log.
    pub missing: Vec<i64>,
    /// Records of events that are not committed.
    pub phantoms: Vec<i64>,
    /// Records that appear for the first time behind a later version of their key.
    pub inverted: Vec<i64>,
    /// Keys whose log ends with a version that is not their latest.
    pub stale_ends: Vec<String>,
    /// Keys whose records lie in more than one partition.
    pub scattered: Vec<String>,
    /// Records beyond the first of their event.
    pub duplicates: usize,
}

impl Verdict {
    /// Whether the guarantees held.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty()
            && self.phantoms.is_empty()
            && self.inverted.is_empty()
            && self.stale_ends.is_empty()
            && self.scattered.is_empty()
    }
}

impl History<'_> {
    /// Checks.
    #[must_use]
    pub fn check(&self) -> Verdict {
        let known: HashMap<Uuid, &Committed> =
            self.committed.iter().map(|row| (row.event_id, row)).collect();
        let mut verdict = Verdict {
            committed: self.committed.len(),
            records: self.log.len(),
            ..Verdict::default()
        };
        let mut seen = HashSet::new();
        let mut keys: HashMap<&str, Key> = HashMap::new();
        for record in self.log {
            if known.get(&record.event_id).is_none_or(|row| row.seq != record.version) {
                verdict.phantoms.push(record.version);
                continue;
            }
            let key = keys.entry(&record.key).or_insert(Key::new(record.partition));
            key.scattered |= key.partition != record.partition;
            key.last = record.version;
            if !seen.insert(record.event_id) {
                verdict.duplicates += 1;
            } else if record.version < key.highest {
                verdict.inverted.push(record.version);
            }
            key.highest = key.highest.max(record.version);
        }
        for (name, key) in keys {
            if key.last != key.highest {
                verdict.stale_ends.push(name.to_owned());
            }
            if key.scattered {
                verdict.scattered.push(name.to_owned());
            }
        }
        let missing = self.committed.iter().filter(|row| !seen.contains(&row.event_id));
        verdict.missing = missing.map(|row| row.seq).collect();
        verdict
    }
}

/// What the log has shown of a key.
struct Key {
    partition: i32,
    highest: i64,
    last: i64,
    scattered: bool,
}

impl Key {
    fn new(partition: i32) -> Self {
        Self { partition, highest: 0, last: 0, scattered: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64) -> Uuid {
        Uuid::from_u128(seq.unsigned_abs().into())
    }

    fn check(committed: &[i64], log: &[i64]) -> Verdict {
        let key = "Rental:1".to_owned();
        let committed: Vec<_> = committed
            .iter()
            .map(|&seq| Committed { seq, event_id: event(seq), key: key.clone() })
            .collect();
        let log: Vec<_> = log
            .iter()
            .zip(0..)
            .map(|(&version, offset)| LogRecord {
                partition: 0,
                offset,
                key: key.clone(),
                payload: Vec::new(),
                version,
                event_id: event(version),
            })
            .collect();
        History { committed: &committed, log: &log }.check()
    }

    #[test]
    fn a_repeated_stretch_that_runs_on_is_sound() {
        let verdict = check(&[1, 2, 3, 4], &[1, 2, 3, 2, 3, 4]);
        assert!(verdict.is_sound(), "{verdict:?}");
        assert_eq!(verdict.duplicates, 2);
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        assert_eq!(check(&[1, 2, 3], &[1, 3]).missing, [2]);
        assert_eq!(check(&[1], &[1, 9]).phantoms, [9]);
        assert_eq!(check(&[1, 2, 3], &[1, 3, 2, 3]).inverted, [2]);
        assert_eq!(check(&[1, 2], &[1, 2, 1]).stale_ends, ["Rental:1"]);
    }
}
