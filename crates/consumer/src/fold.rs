//! Folding a batch: of all changes of one instance only the newest is kept.
//!
//! A *round* holds at most one change per instance, so that one statement can judge them all. Two changes of an instance meet like this:
//!
//! - both versioned: the higher `(version, as_of)` stays, the later one of equals; beside a destroy only what is strictly higher counts, as in
//!   the guard. What comes after a destroy is a second life and belongs to another round: an upsert over the old row
//!   would let columns that it does not name survive the instance they belonged to;
//! - both unversioned: the later time stays (the later one of equals: spec §16, 135), as far as the two alone can tell, that is, if
//!   whatever the replica holds, it would have come out the same one after the other. Where that is not certain, they are kept apart;
//! - one of each: apart, the guard knows.
//!
//! Rounds are applied in order. A message that needs another round than the batch has ends the batch before it, so that a batch is one
//! round and takes its locks in one order; only a message that meets *itself* brings several.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::change::{Action, Change};
use crate::decode::Order;

/// At most one change per instance.
#[derive(Debug, Default)]
pub(crate) struct Round<'a> {
    changes: Vec<Change<'a>>,
    places: HashMap<(usize, Cow<'a, str>), usize>,
}

/// What becomes of two changes of one instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meeting {
    /// The next one takes the held one's place.
    Replace,
    /// The next one is older: it would be refused.
    Drop,
    /// Both must be applied, one after the other.
    Apart,
}

impl<'a> Round<'a> {
    /// The changes in the lock order: by replica and id.
    pub(crate) fn sorted(self) -> Vec<Change<'a>> {
        let mut changes = self.changes;
        changes.sort_unstable_by(|a, b| (a.slot, &a.id).cmp(&(b.slot, &b.id)));
        changes
    }

    /// Whether all these changes can join without one that must be kept apart.
    fn fits(&self, changes: &[Change<'a>]) -> bool {
        changes.iter().all(|next| {
            let held =
                self.places.get(&(next.slot, next.id.clone())).map(|&place| &self.changes[place]);
            held.is_none_or(|held| meet(held, next) != Meeting::Apart)
        })
    }

    /// Adds a change that fits; returns how many changes that leaves out.
    fn add(&mut self, next: Change<'a>) -> u64 {
        match self.places.entry((next.slot, next.id.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert(self.changes.len());
                self.changes.push(next);
                0
            }
            Entry::Occupied(place) => {
                let held = &mut self.changes[*place.get()];
                if meet(held, &next) == Meeting::Replace {
                    replace(held, next);
                }
                1
            }
        }
    }
}

/// The rounds of a batch that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Fold<'a> {
    rounds: Vec<Round<'a>>,
    /// Changes that took no part because a newer one of the batch did.
    pub(crate) superseded: u64,
}

impl<'a> Fold<'a> {
    /// Adds the changes of one message, or gives them back if the batch must end before it.
    pub(crate) fn push(&mut self, changes: Vec<Change<'a>>) -> Result<(), Vec<Change<'a>>> {
        let joins = match self.rounds.as_slice() {
            [] => true,
            [round] => round.fits(&changes) && is_one_round(&changes),
            _ => false,
        };
        if !joins && !changes.is_empty() {
            return Err(changes);
        }
        for change in changes {
            let fits =
                self.rounds.last().is_some_and(|round| round.fits(std::slice::from_ref(&change)));
            if !fits {
                self.rounds.push(Round::default());
            }
            if let Some(round) = self.rounds.last_mut() {
                self.superseded += round.add(change);
            }
        }
        Ok(())
    }

    pub(crate) fn rounds(self) -> Vec<Round<'a>> {
        self.rounds
    }
}

/// Whether no two changes of the message must be kept apart.
fn is_one_round(changes: &[Change<'_>]) -> bool {
    if let [_] | [] = changes {
        return true;
    }
    let mut held: HashMap<(usize, &str), &Change<'_>> = HashMap::with_capacity(changes.len());
    changes.iter().all(|next| {
        let last = held.insert((next.slot, &next.id), next);
        last.is_none_or(|last| meet(last, next) == Meeting::Replace)
    })
}

fn meet(held: &Change<'_>, next: &Change<'_>) -> Meeting {
    match (held.order, next.order) {
        (Order::Versioned(..), Order::Versioned(..)) if next.order < held.order => Meeting::Drop,
        // As in the guard: beside a delete, only what is strictly higher counts.
        (Order::Versioned(..), Order::Versioned(..))
            if next.order == held.order && held.action == Action::Remove =>
        {
            Meeting::Drop
        }
        (Order::Versioned(..), Order::Versioned(..)) if is_another_life(held, next) => {
            Meeting::Apart
        }
        (Order::Versioned(..), Order::Versioned(..)) => Meeting::Replace,
        (Order::Unversioned, Order::Unversioned) if is_another_life(held, next) => Meeting::Apart,
        (Order::Unversioned, Order::Unversioned) => meet_by_time(held, next),
        (Order::Versioned(..), Order::Unversioned) | (Order::Unversioned, Order::Versioned(..)) => {
            Meeting::Apart
        }
    }
}

/// A row after its delete, or an instance after its destroy, be it a soft one.
fn is_another_life(held: &Change<'_>, next: &Change<'_>) -> bool {
    (held.action == Action::Remove && next.action != Action::Remove)
        || (held.ends_a_life() && !next.ends_a_life())
}

fn meet_by_time(held: &Change<'_>, next: &Change<'_>) -> Meeting {
    let time = |change: &Change<'_>| change.time.as_ref().and_then(|time| time.micros);
    match (time(held), time(next)) {
        // Taking the place of a change that sets the replica's time needs one that sets it as well.
        (Some(earlier), Some(later)) if later >= earlier => {
            let keeps_time =
                held.local.is_none() || next.local.is_some() || next.action == Action::Remove;
            if keeps_time { Meeting::Replace } else { Meeting::Apart }
        }
        // The replica's time would be the held one's, if that is admitted; if it is not, this one is older still.
        (Some(earlier), Some(_))
            if held.local == Some(earlier) && (held.revives || !next.revives) =>
        {
            Meeting::Drop
        }
        _ => Meeting::Apart,
    }
}

fn replace<'a>(held: &mut Change<'a>, mut next: Change<'a>) {
    next.revives |= held.revives;
    *held = next;
}

#[cfg(test)]
mod tests;
