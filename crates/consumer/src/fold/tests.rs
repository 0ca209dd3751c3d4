//! The fold against a model that applies one change after the other.

use std::collections::HashMap;

use dionysus_core::{AsOf, EventKind, Version};
use proptest::prelude::*;

use super::*;
use crate::change::Time;
use crate::decode::Attributes;

/// A change whose attributes don't matter; `mark` tells it from all others.
#[derive(Clone, Copy, Debug)]
struct Plan {
    id: u8,
    order: Order,
    kind: EventKind,
    hard: bool,
    time: Option<i64>,
    sets_time: bool,
}

fn change(plan: Plan, mark: &str) -> Change<'_> {
    let removes = plan.kind == EventKind::Destroyed && plan.hard;
    let unversioned = plan.order == Order::Unversioned;
    Change {
        replica: 0,
        slot: 0,
        id: plan.id.to_string().into(),
        order: plan.order,
        action: if removes {
            Action::Remove
        } else {
            Action::Write { restores: false, flags: false }
        },
        is_root: true,
        kind: plan.kind,
        time: plan
            .time
            .filter(|_| unversioned)
            .map(|micros| Time { text: micros.to_string().into(), micros: Some(micros) }),
        local: plan.time.filter(|_| unversioned && plan.sets_time),
        revives: plan.kind == EventKind::Created,
        attributes: Attributes(vec![("mark".into(), mark)]),
    }
}

/// What the database would hold of an instance: the guard and the row.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    version: i64,
    as_of: i64,
    deleted: bool,
    remembered: Option<i64>,
    row: Option<(String, Option<i64>)>,
}

impl State {
    fn apply(&mut self, change: &Change<'_>) {
        let removes = change.action == Action::Remove;
        let micros = change.time.as_ref().and_then(|time| time.micros);
        let local = self.row.as_ref().and_then(|(_, time)| *time);
        let admitted = match change.order {
            Order::Versioned(version, as_of) => {
                let (next, held) = ((version.get(), as_of.get()), (self.version, self.as_of));
                let admitted = next > held || (next == held && !self.deleted);
                if admitted {
                    (self.version, self.as_of) = next;
                    self.remembered = None;
                }
                admitted
            }
            Order::Unversioned if self.deleted && (self.version, self.as_of) > (0, 0) => false,
            Order::Unversioned if self.deleted => match (micros, self.remembered) {
                (Some(time), Some(remembered)) => time > remembered,
                _ => change.revives,
            },
            Order::Unversioned => {
                !matches!((micros, local), (Some(time), Some(local)) if time < local)
            }
        };
        if !admitted {
            return;
        }
        if removes {
            self.row = None;
            if change.order == Order::Unversioned {
                self.remembered = self.remembered.max(micros).max(local);
            }
        } else {
            let mark = change.attributes.get("mark").unwrap().to_owned();
            self.row = Some((mark, change.local.or(local)));
            self.remembered = None;
        }
        self.deleted = removes;
    }
}

fn apply_all<'a>(
    changes: impl IntoIterator<Item = Change<'a>>,
    states: &mut HashMap<String, State>,
) {
    for change in changes {
        states.entry(change.id.clone().into_owned()).or_default().apply(&change);
    }
}

fn plans(order: impl Strategy<Value = Order> + 'static) -> impl Strategy<Value = Vec<Vec<Plan>>> {
    let kind =
        prop_oneof![Just(EventKind::Created), Just(EventKind::Updated), Just(EventKind::Destroyed)];
    let plan = (0..3u8, order, kind, any::<bool>(), proptest::option::of(0..6i64), any::<bool>())
        .prop_map(|(id, order, kind, hard, time, sets_time)| Plan {
            id,
            order,
            kind,
            hard,
            time,
            sets_time,
        });
    // Messages of one or several records.
    proptest::collection::vec(proptest::collection::vec(plan, 1..4), 0..20)
}

fn versioned() -> impl Strategy<Value = Order> {
    (1..12i64, 0..2i64).prop_map(|(version, as_of)| Order::Versioned(Version(version), AsOf(as_of)))
}

/// Folds the messages into as many batches as it takes and applies these; asserts what a batch must be.
fn folded(
    messages: &[Vec<Plan>],
    marks: &[String],
    before: &HashMap<String, State>,
) -> HashMap<String, State> {
    let mut states = before.clone();
    let mut fold = Fold::default();
    let finish = |fold: Fold<'_>, states: &mut HashMap<String, State>| {
        for round in fold.rounds() {
            let changes = round.sorted();
            assert!(
                changes
                    .windows(2)
                    .all(|pair| (pair[0].slot, &pair[0].id) < (pair[1].slot, &pair[1].id))
            );
            apply_all(changes, states);
        }
    };
    for (i, message) in messages.iter().enumerate() {
        let changes = message.iter().map(|plan| change(*plan, &marks[i])).collect();
        if let Err(rest) = fold.push(changes) {
            finish(std::mem::take(&mut fold), &mut states);
            fold.push(rest).unwrap();
        }
    }
    finish(fold, &mut states);
    states
}

fn check(before: &[Vec<Plan>], messages: &[Vec<Plan>]) -> Result<(), TestCaseError> {
    let marks: Vec<String> = (0..before.len() + messages.len()).map(|i| i.to_string()).collect();
    let mut states = HashMap::new();
    for (message, mark) in before.iter().zip(&marks) {
        apply_all(message.iter().map(|plan| change(*plan, mark)), &mut states);
    }
    let folded = folded(messages, &marks[before.len()..], &states);
    for (message, mark) in messages.iter().zip(&marks[before.len()..]) {
        apply_all(message.iter().map(|plan| change(*plan, mark)), &mut states);
    }
    for (id, state) in &states {
        prop_assert_eq!(&folded[id].row, &state.row, "row {}", id);
        prop_assert_eq!(folded[id].deleted, state.deleted, "entry {}", id);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_folded_batch_of_versioned_messages_ends_as_one_by_one(before in plans(versioned()), messages in plans(versioned())) {
        check(&before, &messages)?;
    }

    #[test]
    fn a_folded_batch_of_unversioned_messages_ends_as_one_by_one(
        before in plans(Just(Order::Unversioned)),
        messages in plans(Just(Order::Unversioned)),
    ) {
        check(&before, &messages)?;
    }

    #[test]
    fn a_folded_batch_of_both_kinds_ends_as_one_by_one(
        before in plans(prop_oneof![Just(Order::Unversioned), versioned()]),
        messages in plans(prop_oneof![Just(Order::Unversioned), versioned()]),
    ) {
        check(&before, &messages)?;
    }
}

fn plan(version: i64, kind: EventKind) -> Plan {
    Plan {
        id: 1,
        order: Order::Versioned(Version(version), AsOf(0)),
        kind,
        hard: true,
        time: None,
        sets_time: false,
    }
}

#[test]
fn many_updates_of_one_instance_are_one_change() {
    let mut fold = Fold::default();
    for version in 1..=100 {
        fold.push(vec![change(plan(version, EventKind::Updated), "x")]).unwrap();
    }
    assert_eq!(fold.superseded, 99);
    let rounds = fold.rounds();
    assert_eq!(rounds.len(), 1);
    assert_eq!(rounds.into_iter().flat_map(Round::sorted).count(), 1);
}

#[test]
fn a_second_life_ends_the_batch() {
    let mut fold = Fold::default();
    fold.push(vec![change(plan(1, EventKind::Created), "x")]).unwrap();
    fold.push(vec![change(plan(2, EventKind::Destroyed), "x")]).unwrap();
    assert!(fold.push(vec![change(plan(3, EventKind::Created), "x")]).is_err());
    // What is older than the destroy is no second life.
    fold.push(vec![change(plan(1, EventKind::Updated), "x")]).unwrap();
}

#[test]
fn a_message_that_meets_itself_brings_its_rounds_and_ends_the_batch() {
    let mut fold = Fold::default();
    let both = || {
        vec![change(plan(2, EventKind::Destroyed), "x"), change(plan(3, EventKind::Created), "x")]
    };
    fold.push(both()).unwrap();
    assert!(fold.push(both()).is_err());
    assert_eq!(fold.rounds().len(), 2);
}

#[test]
fn a_message_without_changes_never_ends_a_batch() {
    let mut fold = Fold::default();
    fold.push(vec![
        change(plan(2, EventKind::Destroyed), "x"),
        change(plan(3, EventKind::Created), "x"),
    ])
    .unwrap();
    fold.push(Vec::new()).unwrap();
}
