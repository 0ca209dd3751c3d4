//! What must hold in every state, and what must be seen to happen, lest a property hold because nothing does.

use stateright::{Model, Property};

use crate::actions::Action;
use crate::protocol::Protocol;
use crate::set::Set;
use crate::state::{KEYS, Seen, State};

pub(crate) const PASSED: &str =
    "no stored place passes a row that is neither appended nor in quarantine";
pub(crate) const IN_ORDER: &str = "no key is inverted in the log, late appends counted apart";
pub(crate) const WINDOW: &str = "what lands late was built while the lane was its relay's";
pub(crate) const FORWARD: &str = "the stored place never moves back";
pub(crate) const NOTHING_LEFT: &str = "where nothing can happen any more, nothing is left behind";
pub(crate) const REPLICAS: &str =
    "where nothing can happen any more, replicas hold the newest version";
pub(crate) const ONCE: &str = "a row is visible once";
pub(crate) const NO_LATE: &str = "no late append is visible";
pub(crate) const TAIL: &str =
    "where nothing can happen any more, compaction leaves the newest version";

pub(crate) const TAKEOVER: &str = "a lane is taken over";
pub(crate) const LATE: &str = "a request lands after its relay's successor has begun";
pub(crate) const STALE_TAIL: &str = "the late append stays the last of its key";
pub(crate) const RELEASED: &str = "a quarantined row is released";
pub(crate) const STREAMED: &str = "a genesis chunk is published";

/// The properties that a world can be asked for.
pub(crate) fn of(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut properties = vec![
        Property::always(PASSED, |_, state: &State| passes_nothing(state)),
        Property::always(IN_ORDER, |protocol, state: &State| {
            !state.saw(Seen::Inversion) && in_the_end(protocol, state, runs_on)
        }),
        Property::always(WINDOW, |_, state: &State| !state.saw(Seen::Stray)),
        Property::always(FORWARD, |_, state: &State| !state.saw(Seen::PlaceMovedBack)),
        Property::always(NOTHING_LEFT, |protocol, state| in_the_end(protocol, state, is_complete)),
        Property::always(REPLICAS, |protocol, state| in_the_end(protocol, state, is_replicated)),
    ];
    if protocol.epochs > 1 {
        properties.push(Property::sometimes(TAKEOVER, was_taken_over));
    }
    if protocol.exactly_once {
        properties.push(Property::always(ONCE, |_, state: &State| !state.saw(Seen::Duplicate)));
        properties.push(Property::always(NO_LATE, |_, state: &State| !state.saw(Seen::Late)));
        properties
            .push(Property::always(TAIL, |protocol, state| in_the_end(protocol, state, is_newest)));
    } else {
        properties.push(Property::sometimes(LATE, |_, state: &State| state.saw(Seen::Late)));
        properties.push(Property::sometimes(STALE_TAIL, |protocol, state: &State| {
            state.saw(Seen::Late) && !in_the_end(protocol, state, is_newest)
        }));
    }
    if protocol.poison.is_some() {
        properties.push(Property::sometimes(RELEASED, |protocol, state: &State| {
            let row = protocol.poison.filter(|&row| state.appended.has(row));
            row.is_some_and(|row| !state.lane.quarantine.has(row))
        }));
    }
    if protocol.genesis {
        properties.push(Property::sometimes(STREAMED, |_, state: &State| {
            state.logs.iter().any(|log| log.replica.1 > 0)
        }));
    }
    properties
}

fn passes_nothing(state: &State) -> bool {
    let mut passed = Set::below(state.cursor.passed);
    passed.remove(state.appended.or(state.lane.quarantine).or(state.lane.dropped));
    passed.is_empty()
}

/// Whether something holds where the last owner has nothing to do. What dead clients left on the wire may arrive or not: it is not waited for.
fn in_the_end(protocol: &Protocol, state: &State, holds: fn(&Protocol, &State) -> bool) -> bool {
    if state.sessions.len() < protocol.epochs || holds(protocol, state) {
        return true;
    }
    let mut actions = Vec::new();
    protocol.actions(state, &mut actions);
    actions.retain(|action| match action {
        Action::Client(client, _) => state.is_live(*client),
        _ => true,
    });
    actions.into_iter().any(|action| protocol.next_state(state, action).is_some())
}

/// Every row was passed and published, or given up by the operator, who has been asked about each; the genesis run is performed.
fn is_complete(protocol: &Protocol, state: &State) -> bool {
    let all = Set::below(protocol.rows.len());
    let streamed = (0..KEYS).all(|key| state.cursor.streamed.has(key));
    state.cursor.passed == protocol.rows.len()
        && state.appended.or(state.lane.dropped) == all
        && state.lane.quarantine.is_empty()
        && (streamed || !protocol.genesis)
}

/// Each repeated stretch runs on to its key's latest.
fn runs_on(protocol: &Protocol, state: &State) -> bool {
    let newest = |key| protocol.rows_of(key).and(state.counted).end();
    state.logs.iter().enumerate().all(|(key, log)| log.last >= newest(key))
}

fn is_replicated(protocol: &Protocol, state: &State) -> bool {
    let newest = |key| protocol.rows_of(key).and(state.appended).end();
    state.logs.iter().enumerate().all(|(key, log)| log.replica.0 >= newest(key))
}

/// What compaction leaves of a key, and a replica that is made later starts from.
fn is_newest(protocol: &Protocol, state: &State) -> bool {
    let newest = |key| protocol.rows_of(key).and(state.appended).end();
    state.logs.iter().enumerate().all(|(key, log)| log.tail >= newest(key))
}

fn was_taken_over(_: &Protocol, state: &State) -> bool {
    state.sessions.get(1).is_some_and(|second| !second.acked.is_empty())
}
