//! A change: what one record of a message asks of one replica.
//!
//! The gem's rules of removal (spec §7.8.2) are decided here, once, from what the mapping has and what the record says; what follows only knows
//! *write these columns* and *delete the row*.

use std::borrow::Cow;
use std::collections::HashMap;

use dionysus_core::EventKind;

use crate::decode::{Attributes, Canonical, Malformed, Message, Order};
use crate::replica::Replica;
use crate::time::micros;

/// What a topic's models and sideloads map to.
#[derive(Debug, Default)]
pub(crate) struct Route {
    /// The replicas of the topic.
    pub(crate) replicas: Vec<Replica>,
    /// By the model of an event.
    pub(crate) models: HashMap<String, usize>,
    /// By the name under which a record is sideloaded.
    pub(crate) sideloads: HashMap<String, usize>,
}

/// A record, meant for a replica.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// The index of the replica in its route.
    pub(crate) replica: usize,
    /// The replica's place in the lock order.
    pub(crate) slot: usize,
    pub(crate) id: Cow<'a, str>,
    pub(crate) order: Order,
    pub(crate) action: Action,
    /// The record's own event, and not one of the aggregate it came with.
    pub(crate) is_root: bool,
    pub(crate) kind: EventKind,
    /// The event's time (`updated_at`, else `created_at`) as the wire has it; of unversioned messages only.
    pub(crate) time: Option<Time<'a>>,
    /// What the replica's time column holds after this change, if it sets it; of unversioned messages only.
    pub(crate) local: Option<i64>,
    /// This change, or one that it took the place of, says that the instance is visible (again).
    pub(crate) revives: bool,
    pub(crate) attributes: Attributes<'a>,
}

/// A time, as text and as a number where we can read it.
#[derive(Clone, Debug)]
pub(crate) struct Time<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) micros: Option<i64>,
}

/// What is to be done with the row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Write the attributes.
    Write {
        /// Null the soft-delete column, about which the record says nothing.
        restores: bool,
        /// Turn the flag on.
        flags: bool,
    },
    /// Delete it.
    Remove,
}

impl Change<'_> {
    /// Whether it ends a life of its instance; what follows is another one.
    pub(crate) fn ends_a_life(&self) -> bool {
        self.is_root && self.kind == EventKind::Destroyed
    }
}

/// The changes of a message, sideloaded records after the one that carries them, and how many records were nobody's.
pub(crate) fn changes<'a>(
    route: &Route,
    message: Message<'a>,
) -> Result<(Vec<Change<'a>>, u64), Malformed> {
    let mut found =
        Found { route, order: message.order, changes: Vec::with_capacity(1), ignored: 0 };
    for event in message.events {
        match (EventKind::of_event(&event.name), route.models.get(&*event.model)) {
            (Some(kind), Some(&replica)) => {
                for record in event.records {
                    found.add(replica, kind, true, record)?;
                }
            }
            _ => found.ignored += 1,
        }
    }
    Ok((found.changes, found.ignored))
}

struct Found<'r, 'a> {
    route: &'r Route,
    order: Order,
    changes: Vec<Change<'a>>,
    ignored: u64,
}

impl<'a> Found<'_, 'a> {
    fn add(
        &mut self,
        index: usize,
        kind: EventKind,
        is_root: bool,
        record: Canonical<'a>,
    ) -> Result<(), Malformed> {
        let replica = &self.route.replicas[index];
        let Some(id) = replica.id_of(&record.attributes)? else {
            tracing::warn!(model = %replica.model, "record without id is ignored");
            self.ignored += 1;
            return Ok(());
        };
        let (time, local) = match self.order {
            Order::Versioned(..) => (None, None),
            Order::Unversioned => {
                (time(&record.attributes), local_time(replica, &record.attributes))
            }
        };
        self.changes.push(Change {
            replica: index,
            slot: replica.slot,
            id,
            order: self.order,
            action: action(replica, kind, is_root, &record.attributes),
            is_root,
            kind,
            time,
            local,
            revives: is_root && kind == EventKind::Created,
            attributes: record.attributes,
        });
        for (name, children) in record.has_many {
            for child in children.into_iter().flatten() {
                self.sideloaded(&name, kind, child)?;
            }
        }
        for (name, child) in record.has_one {
            if let Some(child) = child {
                self.sideloaded(&name, kind, child)?;
            }
        }
        Ok(())
    }

    /// Judged on its own, by its parent's message; an event about the parent never removes it.
    fn sideloaded(
        &mut self,
        name: &str,
        kind: EventKind,
        record: Canonical<'a>,
    ) -> Result<(), Malformed> {
        if let Some(&replica) = self.route.sideloads.get(name) {
            return self.add(replica, kind, false, record);
        }
        self.ignored += 1;
        Ok(())
    }
}

/// Spec §7.8.2. K: the record has the key `canceled_at`; A: the replica has a soft-delete column; S: it has a strategy, here a flag.
fn action(
    replica: &Replica,
    kind: EventKind,
    is_root: bool,
    attributes: &Attributes<'_>,
) -> Action {
    let k = attributes.get("synced_canceled_at").is_some();
    let a = replica.canceled_at.is_some();
    let s = replica.flag.is_some();
    if kind != EventKind::Destroyed {
        return Action::Write { restores: a && !k, flags: false };
    }
    if !is_root {
        return Action::Write { restores: false, flags: false };
    }
    match (s, a, k) {
        (_, true, true) => Action::Write { restores: false, flags: false },
        (true, ..) => Action::Write { restores: false, flags: true },
        (false, ..) => Action::Remove,
    }
}

fn time<'a>(attributes: &Attributes<'a>) -> Option<Time<'a>> {
    let json = attributes
        .non_null("synced_updated_at")
        .or_else(|| attributes.non_null("synced_created_at"))?;
    let text = crate::decode::text(json).unwrap_or(Cow::Borrowed(json));
    Some(Time { micros: micros(&text), text })
}

fn local_time(replica: &Replica, attributes: &Attributes<'_>) -> Option<i64> {
    let name = match (replica.updated_at, replica.created_at) {
        (Some(_), _) => "synced_updated_at",
        (None, Some(_)) => "synced_created_at",
        (None, None) => return None,
    };
    micros(&crate::decode::text(attributes.non_null(name)?)?)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::decode::decode;
    use crate::replica::testing::replica;
    use dionysus_core::{Removal, ReplicaMapping};
    use dionysus_kafka::Record;

    /// Bookings with fees, both soft-deletable and not, as a route.
    pub(crate) fn route(canceled_at: bool, flag: bool) -> Route {
        let mut booking = ReplicaMapping::new("Booking", "bookings");
        booking.updated_at = Some("synced_updated_at".into());
        booking.canceled_at = canceled_at.then(|| "synced_canceled_at".into());
        if flag {
            booking.removal = Removal::Flag("canceled".into());
        }
        let fee = ReplicaMapping::new("BookingsFee", "fees");
        let columns = [
            ("synced_id", "int8"),
            ("synced_updated_at", "timestamptz"),
            ("synced_canceled_at", "timestamptz"),
            ("canceled", "bool"),
        ];
        let mut replicas = vec![replica(&booking, &columns), replica(&fee, &columns)];
        replicas[1].slot = 1;
        Route {
            replicas,
            models: HashMap::from([("Booking".into(), 0), ("BookingsFee".into(), 1)]),
            sideloads: HashMap::from([("bookings_fees".into(), 1)]),
        }
    }

    pub(crate) fn record(payload: &str, version: Option<i64>) -> Record {
        Record {
            offset: 0,
            timestamp_ms: None,
            key: None,
            payload: Some(payload.as_bytes().to_vec()),
            headers: version
                .map(|v| ("dionysus-version".to_owned(), v.to_string().into_bytes()))
                .into_iter()
                .collect(),
        }
    }

    pub(crate) fn event(event: &str, model: &str, data: &str) -> String {
        format!(r#"{{"message":[{{"event":"{event}","model_name":"{model}","data":[{data}]}}]}}"#)
    }

    pub(crate) fn of<'a>(route: &Route, record: &'a Record) -> (Vec<Change<'a>>, u64) {
        changes(route, decode(record).unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{event, of, record, route};
    use super::*;

    #[test]
    fn removal_follows_the_truth_table() {
        let write = |flags| Action::Write { restores: false, flags };
        for (s, a, k, expected) in [
            (true, true, true, write(false)),
            (true, true, false, write(true)),
            (true, false, true, write(true)),
            (true, false, false, write(true)),
            (false, true, true, write(false)),
            (false, true, false, Action::Remove),
            (false, false, true, Action::Remove),
            (false, false, false, Action::Remove),
        ] {
            let data = if k { r#"{"id":1,"canceled_at":null}"# } else { r#"{"links":{},"id":1}"# };
            let record = record(&event("booking_destroyed", "Booking", data), Some(1));
            let (changes, _) = of(&route(a, s), &record);
            assert_eq!(changes[0].action, expected, "s {s} a {a} k {k}");
        }
    }

    #[test]
    fn a_record_that_says_nothing_of_its_cancelling_is_restored_by_its_own_events_only() {
        let route = route(true, false);
        let data = r#"{"id":1,"links":{"bookings_fees":[2]},"bookings_fees":[{"id":2}]}"#;
        for (name, restores) in [("booking_updated", true), ("booking_created", true)] {
            let record = record(&event(name, "Booking", data), Some(1));
            assert_eq!(of(&route, &record).0[0].action, Action::Write { restores, flags: false });
        }
    }

    #[test]
    fn sideloaded_records_are_written_whatever_happened_to_their_parent() {
        let data = r#"{"links":{"bookings_fees":[2,3],"host":9},"id":1,"bookings_fees":[{"id":2},{"links":{}}],"host":{"id":9}}"#;
        let record = record(&event("booking_destroyed", "Booking", data), Some(4));
        let (changes, ignored) = of(&route(false, false), &record);
        let seen: Vec<_> = changes
            .iter()
            .map(|c| (c.replica, &*c.id, c.action == Action::Remove, c.ends_a_life()))
            .collect();
        assert_eq!(seen, [(0, "1", true, true), (1, "2", false, false)]);
        assert!(changes.iter().all(|change| change.order == changes[0].order));
        assert_eq!(ignored, 2, "the fee without id and the unmapped host");
    }

    #[test]
    fn what_nobody_mapped_is_ignored() {
        let route = route(false, false);
        for (name, model) in [("booking_archived", "Booking"), ("guest_created", "Guest")] {
            let record = record(&event(name, model, r#"{"id":1}"#), None);
            let (changes, ignored) = of(&route, &record);
            assert_eq!((changes.len(), ignored), (0, 1));
        }
    }

    #[test]
    fn an_unversioned_change_carries_its_times() {
        let data = r#"{"id":1,"created_at":"1970-01-01T00:00:02Z","updated_at":null}"#;
        let record = record(&event("booking_updated", "Booking", data), None);
        let (changes, _) = of(&route(false, false), &record);
        assert_eq!(changes[0].time.as_ref().unwrap().micros, Some(2_000_000));
        assert_eq!(changes[0].local, None);
    }
}
