//! What the writers do: drawn from a seed, so that it can be repeated.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// Few enough that transactions meet.
const IDS: i64 = 40;

/// A transaction.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Events are written as they happen and not in one statement at the end, so that numbers are drawn long before the commit.
    pub(crate) early: bool,
    pub(crate) steps: Vec<Step>,
    pub(crate) commits: bool,
}

/// A change of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) model: Which,
    pub(crate) id: i64,
    /// Deleted, else saved: updated, or created where it is not.
    pub(crate) deletes: bool,
    pub(crate) savepoint: Savepoint,
    /// Before the next step, or the end.
    pub(crate) pause: Duration,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Which {
    Rental,
    Booking,
    Review,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Savepoint {
    None,
    Released,
    RolledBack,
}

impl Plan {
    /// The next transaction of a writer.
    pub(crate) fn draw(rng: &mut StdRng) -> Self {
        let length = match rng.random_range(0..100) {
            0..60 => rng.random_range(0..20),
            60..90 => rng.random_range(20..300),
            _ => rng.random_range(300..2_000),
        };
        let count = rng.random_range(1..=6);
        let mut steps: Vec<_> = (0..count).map(|_| Step::draw(rng, length / count)).collect();
        // Most transactions lock in one order, as applications should; the rest sometimes die in a deadlock.
        if rng.random_ratio(9, 10) {
            steps.sort_by_key(|step| (step.model, step.id));
        }
        Self { early: rng.random_ratio(2, 5), steps, commits: rng.random_ratio(85, 100) }
    }
}

impl Step {
    fn draw(rng: &mut StdRng, pause_ms: u64) -> Self {
        let model = match rng.random_range(0..3) {
            0 => Which::Rental,
            1 => Which::Booking,
            _ => Which::Review,
        };
        let savepoint = match rng.random_range(0..10) {
            0 | 1 => Savepoint::Released,
            2 => Savepoint::RolledBack,
            _ => Savepoint::None,
        };
        Self {
            model,
            id: rng.random_range(1..=IDS),
            deletes: rng.random_ratio(1, 5),
            savepoint,
            pause: Duration::from_millis(rng.random_range(0..=pause_ms * 2)),
        }
    }
}
