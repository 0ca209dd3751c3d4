//! The history checker: what was committed against what lies in the log.
//!
//! *Nothing committed is missing, nothing rolled back is present, per key no inversion.* No inversion means: the first appearances of a key's
//! versions ascend in the raw log, and a repeated stretch runs on to the key's latest. So whoever reads the log from any place on
//! ends with what is newest.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;

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
    /// The log of that topic, or of its twin.
    pub log: &'a [LogRecord],
    /// When a relay was killed, or lost a server, in milliseconds since 1970: what may be repeated then.
    pub faults_ms: &'a [i64],
}

/// What was found. [`Verdict::is_sound`] is the promise.
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
    /// Records before which a repeated stretch left out a version, or broke off.
    pub broken: Vec<i64>,
    /// Keys whose log ends with a version that is not their latest.
    pub stale_ends: Vec<String>,
    /// Keys whose records lie in more than one partition.
    pub scattered: Vec<String>,
    /// Records beyond the first of their event.
    pub duplicates: usize,
    /// Those with no fault between them and the appearance before.
    pub causeless: Vec<i64>,
}

impl Verdict {
    /// Whether the guarantees held.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty()
            && self.phantoms.is_empty()
            && self.inverted.is_empty()
            && self.broken.is_empty()
            && self.stale_ends.is_empty()
            && self.scattered.is_empty()
            && self.causeless.is_empty()
    }

    /// Fails with the first of each kind of finding.
    ///
    /// # Errors
    /// When a guarantee was broken.
    pub fn ensure_sound(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.is_sound(),
            "the history of {} committed rows is not sound:\n{}",
            self.committed,
            self.findings()
        );
        Ok(())
    }

    fn findings(&self) -> String {
        [
            listed("missing", &self.missing),
            listed("phantoms", &self.phantoms),
            listed("inverted", &self.inverted),
            listed("broken stretches", &self.broken),
            listed("stale ends", &self.stale_ends),
            listed("scattered keys", &self.scattered),
            listed("repeated without a fault", &self.causeless),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
    }
}

/// How many there are, and the first ten.
fn listed<T: Debug>(name: &str, findings: &[T]) -> Option<String> {
    let first = &findings[..findings.len().min(10)];
    (!first.is_empty()).then(|| format!("  {name}: {}, first {first:?}", findings.len()))
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
        let mut appeared: HashMap<Uuid, i64> = HashMap::new();
        let mut keys: HashMap<&str, Key> = HashMap::new();
        for record in self.log {
            let committed = known.get(&record.event_id);
            if committed.is_none_or(|row| row.seq != record.version || row.key != record.key) {
                verdict.phantoms.push(record.version);
                continue;
            }
            keys.entry(&record.key)
                .or_insert_with(|| Key::new(record.partition))
                .take(record, &mut verdict);
            if let Some(before) = appeared.insert(record.event_id, record.timestamp_ms) {
                verdict.duplicates += 1;
                let between = before..=record.timestamp_ms;
                if !self.faults_ms.iter().any(|fault| between.contains(fault)) {
                    verdict.causeless.push(record.version);
                }
            }
        }
        for (name, key) in keys {
            if key.last + 1 != key.versions.len() {
                verdict.stale_ends.push(name.to_owned());
            }
            if key.scattered {
                verdict.scattered.push(name.to_owned());
            }
        }
        let seen: HashSet<_> = appeared.into_keys().collect();
        let missing = self.committed.iter().filter(|row| !seen.contains(&row.event_id));
        verdict.missing = missing.map(|row| row.seq).collect();
        verdict
    }
}

/// What the log has shown of a key.
struct Key {
    partition: i32,
    scattered: bool,
    /// Its versions so far, ascending.
    versions: Vec<i64>,
    /// The place of the last one read.
    last: usize,
}

impl Key {
    fn new(partition: i32) -> Self {
        Self { partition, scattered: false, versions: Vec::new(), last: 0 }
    }

    fn take(&mut self, record: &LogRecord, verdict: &mut Verdict) {
        self.scattered |= self.partition != record.partition;
        let at_end = self.versions.is_empty() || self.last + 1 == self.versions.len();
        match self.versions.binary_search(&record.version) {
            // A repetition: the next of its stretch, or the beginning of a new one.
            Ok(at) => {
                if at > self.last + 1 {
                    verdict.broken.push(record.version);
                }
                self.last = at;
            }
            Err(at) => {
                if at < self.versions.len() {
                    verdict.inverted.push(record.version);
                } else if !at_end {
                    verdict.broken.push(record.version);
                }
                self.versions.insert(at, record.version);
                self.last = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64) -> Uuid {
        Uuid::from_u128(seq.unsigned_abs().into())
    }

    /// Record `n` of the log has the timestamp `n`.
    fn check(committed: &[i64], log: &[i64], faults_ms: &[i64]) -> Verdict {
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
                timestamp_ms: offset,
                key: key.clone(),
                payload: Vec::new(),
                version,
                event_id: event(version),
            })
            .collect();
        History { committed: &committed, log: &log, faults_ms }.check()
    }

    #[test]
    fn a_repeated_stretch_that_runs_on_is_sound() {
        let verdict = check(&[1, 2, 3, 4], &[1, 2, 3, 2, 3, 4], &[3]);
        assert!(verdict.is_sound(), "{verdict:?}");
        assert_eq!(verdict.duplicates, 2);
        let twice = check(&[1, 2, 3, 4], &[1, 2, 3, 1, 2, 1, 2, 3, 4], &[3, 5]);
        assert!(twice.is_sound(), "{twice:?}");
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let none: &[i64] = &[];
        assert_eq!(check(&[1, 2, 3], &[1, 3], none).missing, [2]);
        assert_eq!(check(&[1], &[1, 9], none).phantoms, [9]);
        assert_eq!(check(&[1, 2, 3], &[1, 3, 2, 3], &[2]).inverted, [2]);
        assert_eq!(check(&[1, 2], &[1, 2, 1], &[2]).stale_ends, ["Rental:1"]);
        assert_eq!(check(&[1, 2, 3], &[1, 2, 3, 1, 3], &[3]).broken, [3]);
        assert_eq!(check(&[1, 2, 3], &[1, 2, 1, 3], &[2]).broken, [3]);
        assert_eq!(check(&[1, 2], &[1, 2, 1, 2], none).causeless, [1, 2]);
        assert_eq!(check(&[1, 2], &[1, 2, 1, 2], &[5]).causeless, [1, 2]);
    }
}
