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
}

impl StagedEvents {
    /// Adds an event, or lets it follow what the stage holds for its topic and key.
    pub(crate) fn record(&mut self, event: StagedEvent) {
        match self.places.entry((event.place.topic, Arc::clone(&event.key))) {
            Entry::Occupied(place) => {
                let earlier = &mut self.list[*place.get()];
                *earlier = follow(earlier, event);
            }
            Entry::Vacant(place) => {
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

    /// The events, in order.
    pub(crate) fn as_slice(&self) -> &[StagedEvent] {
        &self.list
    }
}

/// Never shows what was staged.
impl fmt::Debug for StagedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedEvents").field("len", &self.list.len()).finish_non_exhaustive()
    }
}

fn follow(earlier: &StagedEvent, later: StagedEvent) -> StagedEvent {
    use EventKind::{Created, Destroyed, Updated};
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
        Stage { topic: usize, key: u8, kind: EventKind, visible: bool },
        Savepoint { steps: Vec<Step>, commit: bool },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let kind = prop_oneof![
            Just(EventKind::Created),
            Just(EventKind::Updated),
            Just(EventKind::Destroyed)
        ];
        let stage = (0..2_usize, 0..3_u8, kind, any::<bool>())
            .prop_map(|(topic, key, kind, visible)| Step::Stage { topic, key, kind, visible });
        let step = stage.prop_recursive(4, 60, 8, |inner| {
            (prop::collection::vec(inner, 0..8), any::<bool>())
                .prop_map(|(steps, commit)| Step::Savepoint { steps, commit })
        });
        prop::collection::vec(step, 0..20)
    }

    fn event(topic: usize, key: u8, kind: EventKind, visible: bool, n: u32) -> StagedEvent {
        StagedEvent {
            place: Place { topic, model: 0 },
            kind,
            visible,
            key: format!("Rental:{key}").into(),
            id: key.to_string().into(),
            partition_key: None,
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
    /// destruction bring the instance back if one of them shows it.
    fn expected(survivors: &[StagedEvent]) -> Vec<(usize, String, EventKind, Vec<u8>)> {
        let mut keys: Vec<(usize, &str)> = Vec::new();
        for event in survivors {
            if !keys.contains(&(event.place.topic, &event.key)) {
                keys.push((event.place.topic, &event.key));
            }
        }
        keys.into_iter()
            .map(|(topic, key)| {
                let of_key: Vec<_> =
                    survivors.iter().filter(|e| e.place.topic == topic && &*e.key == key).collect();
                let word = of_key.iter().rposition(|e| e.kind != EventKind::Updated);
                let kind = match word.map(|i| (of_key[i].kind, &of_key[i + 1..])) {
                    None => EventKind::Updated,
                    Some((EventKind::Destroyed, updates)) if updates.iter().all(|e| !e.visible) => {
                        EventKind::Destroyed
                    }
                    Some(_) => EventKind::Created,
                };
                let data = of_key.last().map(|e| e.data.to_vec()).unwrap_or_default();
                (topic, key.to_owned(), kind, data)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_stage_comes_to_what_the_simple_model_says(steps in steps()) {
            let (mut stage, mut survivors) = (StagedEvents::default(), Vec::new());
            run(&steps, &mut 0, &mut stage, &mut survivors);
            let staged: Vec<_> = stage
                .as_slice()
                .iter()
                .map(|e| (e.place.topic, e.key.to_string(), e.kind, e.data.to_vec()))
                .collect();
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
            stage.record(event(0, 1, first, true, 1));
            stage.record(event(0, 1, then, visible, 2));
            let [only] = stage.as_slice() else { panic!("one event") };
            assert_eq!(only.kind, expected, "{first} then {then}");
            assert_eq!(*only.data, 2_u32.to_be_bytes());
        }
    }
}
