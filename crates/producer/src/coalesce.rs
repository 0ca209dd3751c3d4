//! Several changes of one instance in one transaction give one message per topic.
//!
//! # Why
//! A transaction has one outcome, and a snapshot replaces whatever a replica holds: earlier snapshots of the same transaction
//! carry nothing. The gem writes them all (W36).
//!
//! # The rule
//! The last snapshot is published, under the event that a consumer needs who saw nothing of what lies between:
//!
//! | before \ then | created | updated | destroyed |
//! | --- | --- | --- | --- |
//! | created | created | created | destroyed |
//! | updated | created | updated | destroyed |
//! | destroyed | created | created if the instance is there again, else destroyed | destroyed |
//!
//! Created and destroyed in one transaction is published as destroyed: harmless where nothing was known, and right where a genesis run or
//! an earlier life of the id was.
//!
//! # Unseen changes
//! A change that has no event of its own, an update of a soft-deleted instance, still renews the snapshot of the event that the
//! transaction has for the instance, or that event would show a state that was never committed. Alone it is not published. The end of an instance under its
//! base's key is such a change of its own key, and turns what the transaction has for that into destroyed.
//!
//! # Tombstones
//! A tombstone follows the event of its key. An event after it means that the key lives on: then there is none.
//!
//! # What is read at commit
//! An event may wait for its snapshot ([`StagedEvent::is_deferred`]); the rule is the same, and [`StagedEvents::fill`] completes it.
//!
//! # Invariant
//! The rule is associative, so that a savepoint's run, coalesced on its own and merged into its parent's, comes to what one stage
//! for all would have come to. "There again" is therefore a property of a whole run of updates ([`StagedEvent::visible`]), not of
//! its last.
//!
//! # Order
//! Within a key there is one row, so order per key is the order of commits. Between keys none is promised; a key keeps the place
//! of its first event, which puts a parent that is created and then touched before its children.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use dionysus_core::EventKind;

use crate::staged::{Shown, StagedEvent};
use crate::topology::Place;

/// What a stage holds: at most one event per (topic, key).
#[derive(Default)]
pub(crate) struct StagedEvents {
    list: Vec<StagedEvent>,
    places: HashMap<(usize, Arc<str>), usize>,
    /// How many rows they come to.
    rows: usize,
}

impl StagedEvents {
    /// Adds an event, or lets it follow what the stage holds for its topic and key.
    pub(crate) fn record(&mut self, event: StagedEvent) {
        match self.places.entry((event.place.topic, Arc::clone(&event.key))) {
            Entry::Occupied(place) => {
                let earlier = &mut self.list[*place.get()];
                self.rows -= earlier.rows();
                *earlier = follow(earlier, event);
                self.rows += earlier.rows();
            }
            Entry::Vacant(place) => {
                self.rows += event.rows();
                place.insert(self.list.len());
                self.list.push(event);
            }
        }
    }

    /// Adds what a savepoint staged after all that is here.
    pub(crate) fn absorb(&mut self, later: Self) {
        for event in later.list {
            self.record(event);
        }
    }

    /// Makes room for this many more.
    pub(crate) fn reserve(&mut self, events: usize) {
        self.list.reserve(events);
        self.places.reserve(events);
    }

    /// How many rows they come to.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// The events that come to rows, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StagedEvent> {
        self.list.iter().filter(|event| event.rows() > 0)
    }

    /// The events whose snapshots are still to be read.
    pub(crate) fn deferred(&self) -> impl Iterator<Item = &StagedEvent> {
        self.list.iter().filter(|event| event.is_deferred())
    }

    pub(crate) fn has_deferred(&self) -> bool {
        self.deferred().next().is_some()
    }

    /// Whether the event of this key waits for its snapshot.
    pub(crate) fn awaits(&self, place: Place, key: &str) -> bool {
        self.places
            .get(&(place.topic, Arc::from(key)))
            .is_some_and(|at| self.list[*at].is_deferred())
    }

    /// Completes the event that waits for this snapshot.
    pub(crate) fn fill(&mut self, read: StagedEvent) {
        let Some(&at) = self.places.get(&(read.place.topic, Arc::clone(&read.key))) else { return };
        let StagedEvent { visible, partition_key, data, .. } = read;
        let event = &mut self.list[at];
        (event.visible, event.partition_key, event.data) = (visible, partition_key, data);
    }

    /// Leaves out what still waits; how many of each name.
    pub(crate) fn drop_deferred(
        &mut self,
        name: impl Fn(Place) -> String,
    ) -> BTreeMap<String, usize> {
        let mut dropped = BTreeMap::new();
        for event in self.list.iter_mut().filter(|event| event.is_deferred()) {
            *dropped.entry(name(event.place)).or_default() += 1;
            self.rows -= event.rows();
            event.shown = Shown::No;
            self.rows += event.rows();
        }
        dropped
    }
}

/// Never shows what was staged.
impl fmt::Debug for StagedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedEvents").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn follow(earlier: &StagedEvent, later: StagedEvent) -> StagedEvent {
    let tombstone = later.tombstone || (earlier.tombstone && later.shown != Shown::Yes);
    let followed = match (earlier.shown, later.shown) {
        (_, Shown::No) => earlier.clone(),
        (Shown::No, _) | (Shown::Unseen, Shown::Yes) => later,
        (earlier_shown, Shown::Unseen) => {
            let ended = [earlier.kind, later.kind].contains(&EventKind::Destroyed);
            let kind = if ended { EventKind::Destroyed } else { earlier.kind };
            StagedEvent { kind, shown: earlier_shown, visible: earlier.visible, ..later }
        }
        (Shown::Yes, Shown::Yes) => {
            let kind = kind(earlier.kind, &later);
            StagedEvent { kind, visible: earlier.visible || later.visible, ..later }
        }
    };
    StagedEvent { tombstone, ..followed }
}

fn kind(earlier: EventKind, later: &StagedEvent) -> EventKind {
    use EventKind::{Created, Destroyed, Updated};
    match (earlier, later.kind) {
        (_, Created) | (Created, Updated) => Created,
        (Updated, Updated) => Updated,
        (Destroyed, Updated) if later.visible => Created,
        (_, Destroyed) | (Destroyed, Updated) => Destroyed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What an application does, with a few keys in two topics.
    #[derive(Clone, Debug)]
    enum Step {
        Stage { topic: usize, key: u8, kind: Option<EventKind>, visible: bool },
        Savepoint { steps: Vec<Step>, commit: bool },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let kind = prop_oneof![
            Just(None),
            Just(Some(EventKind::Created)),
            Just(Some(EventKind::Updated)),
            Just(Some(EventKind::Destroyed))
        ];
        let stage = (0..2_usize, 0..3_u8, kind, any::<bool>())
            .prop_map(|(topic, key, kind, visible)| Step::Stage { topic, key, kind, visible });
        let step = stage.prop_recursive(4, 60, 8, |inner| {
            (prop::collection::vec(inner, 0..8), any::<bool>())
                .prop_map(|(steps, commit)| Step::Savepoint { steps, commit })
        });
        prop::collection::vec(step, 0..20)
    }

    /// Without a kind, an unseen change.
    fn event(topic: usize, key: u8, kind: Option<EventKind>, visible: bool, n: u32) -> StagedEvent {
        StagedEvent {
            place: Place { topic, model: 0 },
            kind: kind.unwrap_or(EventKind::Updated),
            shown: if kind.is_some() { Shown::Yes } else { Shown::Unseen },
            tombstone: false,
            as_base: false,
            visible: visible && kind.is_some(),
            key: format!("Rental:{key}").into(),
            id_at: "Rental:".len(),
            partition_key: None,
            headers: None,
            data: Some(n.to_be_bytes().as_slice().into()),
        }
    }

    fn bytes(event: &StagedEvent) -> Vec<u8> {
        event.data.as_deref().unwrap_or_default().to_vec()
    }

    /// As the producer does it: a stage per savepoint.
    fn run(
        steps: &[Step],
        n: &mut u32,
        stage: &mut StagedEvents,
        survivors: &mut Vec<StagedEvent>,
    ) {
        for step in steps {
            match step {
                Step::Stage { topic, key, kind, visible } => {
                    *n += 1;
                    let event = event(*topic, *key, *kind, *visible, *n);
                    stage.record(event.clone());
                    survivors.push(event);
                }
                Step::Savepoint { steps, commit } => {
                    let (mut nested, mut nested_survivors) = (StagedEvents::default(), Vec::new());
                    run(steps, n, &mut nested, &mut nested_survivors);
                    if *commit {
                        stage.absorb(nested);
                        survivors.append(&mut nested_survivors);
                    }
                }
            }
        }
    }

    /// The simple model: of all that survived for a key, the last word on creation or destruction decides, and updates after a
    /// destruction bring the instance back if one of them shows it. An unseen change only brings its snapshot.
    fn expected(survivors: &[StagedEvent]) -> Vec<(usize, String, EventKind, Vec<u8>)> {
        let mut keys: Vec<(usize, &str)> = Vec::new();
        for event in survivors {
            if !keys.contains(&(event.place.topic, &event.key)) {
                keys.push((event.place.topic, &event.key));
            }
        }
        keys.into_iter()
            .filter_map(|(topic, key)| {
                let all: Vec<_> =
                    survivors.iter().filter(|e| e.place.topic == topic && &*e.key == key).collect();
                let of_key: Vec<_> = all.iter().filter(|e| e.shown == Shown::Yes).collect();
                of_key.first()?;
                let word = of_key.iter().rposition(|e| e.kind != EventKind::Updated);
                let kind = match word.map(|i| (of_key[i].kind, &of_key[i + 1..])) {
                    None => EventKind::Updated,
                    Some((EventKind::Destroyed, updates)) if updates.iter().all(|e| !e.visible) => {
                        EventKind::Destroyed
                    }
                    Some(_) => EventKind::Created,
                };
                let data = all.last().map(|e| bytes(e)).unwrap_or_default();
                Some((topic, key.to_owned(), kind, data))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_stage_comes_to_what_the_simple_model_says(steps in steps()) {
            let (mut stage, mut survivors) = (StagedEvents::default(), Vec::new());
            run(&steps, &mut 0, &mut stage, &mut survivors);
            let staged: Vec<_> = stage
                .iter()
                .map(|e| (e.place.topic, e.key.to_string(), e.kind, bytes(e)))
                .collect();
            prop_assert_eq!(stage.len(), staged.len());
            prop_assert_eq!(staged, expected(&survivors));
        }
    }

    #[test]
    fn each_pair_gives_the_event_that_a_consumer_needs() {
        use EventKind::{Created, Destroyed, Updated};
        for (first, then, visible, expected) in [
            (Created, Updated, true, Created),
            (Created, Destroyed, true, Destroyed),
            (Updated, Updated, true, Updated),
            (Updated, Destroyed, false, Destroyed),
            (Updated, Created, true, Created),
            (Destroyed, Created, true, Created),
            (Destroyed, Updated, true, Created),
            (Destroyed, Updated, false, Destroyed),
        ] {
            let mut stage = StagedEvents::default();
            stage.record(event(0, 1, Some(first), true, 1));
            stage.record(event(0, 1, Some(then), visible, 2));
            let [only] = stage.list.as_slice() else { panic!("one event") };
            assert_eq!(only.kind, expected, "{first} then {then}");
            assert_eq!(bytes(only), 2_u32.to_be_bytes());
        }
    }

    #[test]
    fn a_tombstone_follows_the_event_of_its_key_and_a_later_event_takes_it_back() {
        use EventKind::{Created, Destroyed};
        let tombstone = || StagedEvent {
            shown: Shown::No,
            tombstone: true,
            data: None,
            ..event(0, 1, Some(Destroyed), false, 9)
        };
        let gone = || event(0, 1, Some(Destroyed), false, 1);
        let back = || event(0, 1, Some(Created), true, 2);
        let rows = |events: Vec<StagedEvent>| {
            let mut stage = StagedEvents::default();
            for event in events {
                stage.record(event);
            }
            let only = stage.iter().next().cloned().unwrap();
            (stage.len(), only.shown, only.kind, only.tombstone)
        };
        assert_eq!(rows(vec![tombstone()]), (1, Shown::No, Destroyed, true));
        assert_eq!(rows(vec![gone(), tombstone()]), (2, Shown::Yes, Destroyed, true));
        assert_eq!(rows(vec![tombstone(), gone()]), (1, Shown::Yes, Destroyed, false));
        assert_eq!(rows(vec![gone(), tombstone(), back()]), (1, Shown::Yes, Created, false));
        let unseen = event(0, 1, None, false, 3);
        assert_eq!(rows(vec![gone(), tombstone(), unseen]), (2, Shown::Yes, Destroyed, true));
    }

    #[test]
    fn the_end_under_a_bases_key_ends_what_the_own_key_has() {
        let end = StagedEvent {
            shown: Shown::Unseen,
            ..event(0, 1, Some(EventKind::Destroyed), false, 2)
        };
        let mut stage = StagedEvents::default();
        stage.record(end.clone());
        assert_eq!(stage.len(), 0);
        let mut stage = StagedEvents::default();
        stage.record(event(0, 1, Some(EventKind::Created), true, 1));
        stage.record(end);
        assert_eq!(stage.list[0].kind, EventKind::Destroyed);
        assert_eq!(bytes(&stage.list[0]), 2_u32.to_be_bytes());
    }
}
