//! What must hold of all that was written and seen.

use std::collections::HashMap;

use dionysus_core::Snapshot;
use uuid::Uuid;

/// A committed row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) seq: i64,
    pub(super) xid: u64,
    pub(super) event_id: Uuid,
}

/// What a run that reads everything saw, as genesis does.
pub(super) struct Seen {
    pub(super) snapshot: Snapshot,
    pub(super) floor: Option<i64>,
    pub(super) rows: Vec<i64>,
}

/// Each exactly once.
pub(super) fn check_published(written: &[Written], published: &[Uuid]) {
    let mut times: HashMap<Uuid, u32> = HashMap::new();
    for event_id in published {
        *times.entry(*event_id).or_default() += 1;
    }
    let lost = written.iter().filter(|row| !times.contains_key(&row.event_id)).count();
    assert_eq!(lost, 0, "committed rows that the lane has never read");
    assert!(times.values().all(|times| *times == 1), "rows that the lane has read twice");
    assert_eq!(times.len(), written.len(), "rows that were rolled back");
}

/// Of each run: what is gone lies at or below its floor, what is still to come above it.
pub(super) fn check_floors(written: &[Written], runs: &[Seen]) {
    let mut gone = 0;
    for Seen { snapshot, floor, rows } in runs {
        for row in written {
            if !snapshot.sees(row.xid) {
                assert!(floor.is_none_or(|floor| floor < row.seq), "{row:?} comes below {floor:?}");
            } else if rows.binary_search(&row.seq).is_err() {
                gone += 1;
                assert!(
                    floor.is_some_and(|floor| floor >= row.seq),
                    "{row:?} gone above {floor:?}"
                );
            }
        }
    }
    assert!(gone > 0, "no run has missed a row, so the floors were not put to the test");
}
