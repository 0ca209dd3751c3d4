//! From the records of a partition to what one transaction applies.

use dionysus_kafka::Record;

use crate::change::{Change, Route, changes};
use crate::decode::{Malformed, decode};
use crate::fold::{Fold, Round};

/// What one transaction applies.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Each in the lock order.
    pub(crate) rounds: Vec<Vec<Change<'a>>>,
    /// How many records it covers, from the first.
    pub(crate) records: usize,
    /// The offset behind them.
    pub(crate) next_offset: i64,
    pub(crate) superseded: u64,
    pub(crate) ignored: u64,
}

/// Takes as many records as fit one batch: it ends before a record that must be kept apart (see [`crate::fold`]) and before one that is malformed, which
/// is an error only when it comes first. So everything before a bad message is applied, and nothing after it.
///
/// There must be a record.
pub(crate) fn fill<'a>(route: &Route, records: &'a [Record]) -> Result<Batch<'a>, Malformed> {
    let mut fold = Fold::default();
    let (mut taken, mut ignored) = (0_usize, 0);
    for record in records {
        let (found, unmapped) = match decode(record).and_then(|message| changes(route, message)) {
            Ok(found) => found,
            Err(malformed) if taken == 0 => return Err(malformed),
            Err(_) => break,
        };
        if fold.push(found).is_err() {
            break;
        }
        ignored += unmapped;
        taken += 1;
    }
    let next_offset = taken.checked_sub(1).map_or(0, |last| records[last].offset + 1);
    let superseded = fold.superseded;
    let rounds = fold.rounds().into_iter().map(Round::sorted).collect();
    Ok(Batch { rounds, records: taken, next_offset, superseded, ignored })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::testing::{event, record, route};

    fn records(payloads: &[(i64, String)]) -> Vec<Record> {
        payloads
            .iter()
            .zip(1..)
            .map(|((offset, payload), version)| Record {
                offset: *offset,
                ..record(payload, Some(version))
            })
            .collect()
    }

    #[test]
    fn a_batch_ends_before_a_malformed_message() {
        let update = event("booking_updated", "Booking", r#"{"id":1}"#);
        let records = records(&[(10, update.clone()), (12, update), (13, "[]".into())]);
        let route = route(false, false);
        let batch = fill(&route, &records).unwrap();
        assert_eq!((batch.records, batch.next_offset, batch.superseded), (2, 13, 1));
        assert!(fill(&route, &records[2..]).is_err());
    }

    #[test]
    fn a_batch_ends_before_a_second_life() {
        let records = records(&[
            (1, event("booking_destroyed", "Booking", r#"{"links":{},"id":1}"#)),
            (2, event("booking_updated", "Booking", r#"{"id":2}"#)),
            (3, event("booking_created", "Booking", r#"{"id":1}"#)),
            (4, event("booking_updated", "Booking", r#"{"id":2}"#)),
        ]);
        let route = route(false, false);
        let batch = fill(&route, &records).unwrap();
        assert_eq!((batch.records, batch.next_offset, batch.rounds.len()), (2, 3, 1));
        assert_eq!(fill(&route, &records[2..]).unwrap().records, 2);
    }

    #[test]
    fn records_without_events_are_covered() {
        let records = records(&[(1, "null".into()), (5, r#"{"message":[]}"#.into())]);
        let batch = fill(&route(false, false), &records).unwrap();
        assert_eq!((batch.records, batch.next_offset), (2, 6));
        assert!(batch.rounds.is_empty());
    }
}
