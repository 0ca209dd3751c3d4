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
//! transaction has for the instance, or that event would show a state that was never committed. Alone it is not published.
//!
//! # Invariant
//! The rule is associative, so that a savepoint's run, coalesced on its own and merged into its parent's, comes to what one stage
//! for all would have come to. "There again" is therefore a property of a whole run of updates ([`StagedEvent::visible`]), not of
//! its last.
//!
//! # Order
//! Within a key there is one row, so order per key is the order of commits. Between keys none is promised; a key keeps the place
//! of its first event, which puts a parent that is created and then touched before its children.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use dionysus_core::EventKind;

use crate::staged::StagedEvent;

/// What a stage holds: at most one event per (topic, key).
#[derive(Default)]
pub(crate) struct StagedEvents {
    list: Vec<StagedEvent>,
    places: HashMap<(usize, Arc<str>), usize>,
    /// How many of the list are to be published.
    seen: usize,
}

impl StagedEvents {
    /// Adds an event, or lets it follow what the stage holds for its topic and key.
    pub(crate) fn record(&mut self, event: StagedEvent) {
        match self.places.entry((event.place.topic, Arc::clone(&event.key))) {
            Entry::Occupied(place) => {
                let earlier = &mut self.list[*place.get()];
                let unseen = earlier.unseen;
                *earlier = follow(earlier, event);
                self.seen += usize::from(unseen && !earlier.unseen);
            }
            Entry::Vacant(place) => {
                self.seen += usize::from(!event.unseen);
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

    /// How many events are to be published.
    pub(crate) fn len(&self) -> usize {
        self.seen
    }

    /// The events to publish, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &StagedEvent> {
        self.list.iter().filter(|event| !event.unseen)
    }
}

/// Never shows what was staged.
impl fmt::Debug for StagedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedEvents").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn follow(earlier: &StagedEvent, later: StagedEvent) -> StagedEvent {
    use EventKind::{Created, Destroyed, Updated};
    if later.unseen {
        return StagedEvent {
            kind: earlier.kind,
            unseen: earlier.unseen,
            visible: earlier.visible,
            ..later
        };
    }
    if earlier.unseen {
        return later;
    }
    let kind = match (earlier.kind, later.kind) {
        (_, Created) | (Created, Updated) => Created,
        (_, Destroyed) => Destroyed,
        (Updated, Updated) => Updated,
        (Destroyed, Updated) => {
            if later.visible {
                Created
            } else {
                Destroyed
            }
        }
    };
    StagedEvent { kind, visible: earlier.visible || later.visible, ..later }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topology::Place;

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
            unseen: kind.is_none(),
            visible: visible && kind.is_some(),
            key: format!("Rental:{key}").into(),
            id_at: "Rental:".len(),
            partition_key: None,
            headers: None,
            data: n.to_be_bytes().as_slice().into(),
        }
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
                let of_key: Vec<_> = all.iter().filter(|e| !e.unseen).collect();
                of_key.first()?;
                let word = of_key.iter().rposition(|e| e.kind != EventKind::Updated);
                let kind = match word.map(|i| (of_key[i].kind, &of_key[i + 1..])) {
                    None => EventKind::Updated,
                    Some((EventKind::Destroyed, updates)) if updates.iter().all(|e| !e.visible) => {
                        EventKind::Destroyed
                    }
                    Some(_) => EventKind::Created,
                };
                let data = all.last().map(|e| e.data.to_vec()).unwrap_or_default();
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
                .map(|e| (e.place.topic, e.key.to_string(), e.kind, e.data.to_vec()))
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
            assert_eq!(*only.data, 2_u32.to_be_bytes());
        }
    }
}
