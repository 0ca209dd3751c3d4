//! The protocol without one of its parts: what the checker must notice.

use crate::assert_breaks;
use crate::properties::{
    FORWARD, IN_ORDER, NO_LATE, NOTHING_LEFT, ONCE, PASSED, REPLICAS, TAIL, WINDOW,
};
use crate::protocol::{Broken, Protocol, TWO_ROWS};

const GENESIS: Protocol = Protocol { genesis: true, committed: 1, ..TWO_ROWS };

const EXACTLY_ONCE: Protocol =
    Protocol { exactly_once: true, poison: Some(0), may_drop: true, ..TWO_ROWS };

/// A relay that wakes up in the middle of a chunk goes on handing it over.
#[test]
fn without_the_deadline_a_stale_owner_inverts_keys() {
    let broken = Protocol { broken: &[Broken::NoDeadline], ..TWO_ROWS };
    assert_breaks("no deadline", IN_ORDER, broken);
    assert_breaks("no deadline", WINDOW, broken);
}

#[test]
fn without_the_purge_a_stale_queue_inverts_keys() {
    let broken = Protocol { broken: &[Broken::NoPurge], ..TWO_ROWS };
    assert_breaks("no purge", IN_ORDER, broken);
    assert_breaks("no purge", WINDOW, broken);
}

/// Giving a lane up is a checkpoint as well: unchecked, it frees somebody else's lane.
#[test]
fn without_the_epoch_places_move_back_and_keys_are_inverted() {
    let broken = Protocol { broken: &[Broken::NoEpoch], epochs: 3, ..TWO_ROWS };
    assert_breaks("no epoch", FORWARD, broken);
    assert_breaks("no epoch", IN_ORDER, broken);
}

/// The write to Postgres before the commit: fencing by the broker alone comes too late for what the successor has read of the quarantine.
#[test]
fn without_the_epoch_exactly_once_mode_loses_track_of_its_quarantine() {
    let broken = Protocol { broken: &[Broken::NoEpoch], ..EXACTLY_ONCE };
    assert_breaks("exactly once, no epoch", IN_ORDER, broken);
    assert_breaks("exactly once, no epoch", NOTHING_LEFT, broken);
}

#[test]
fn without_a_margin_a_slow_clock_keeps_a_lost_lane() {
    let broken = Protocol { broken: &[Broken::NoMargin], ..TWO_ROWS };
    assert_breaks("no margin", IN_ORDER, broken);
}

/// Not left out by us, but not in our hands either: see the assumption in `main.rs`.
#[test]
fn a_pump_that_is_late_to_purge_lets_its_queue_out() {
    let broken = Protocol { broken: &[Broken::SlowPump], ..TWO_ROWS };
    assert_breaks("slow pump", WINDOW, broken);
    assert_breaks("slow pump", IN_ORDER, broken);
}

/// "Below the TTL" is not enough: what is handed over just before the deadline lives on behind it.
#[test]
fn a_message_timeout_below_the_ttl_does_not_make_up_for_it() {
    let broken = &[Broken::SlowPump, Broken::LongTimeout];
    let long = Protocol { ttl: 3, timeout: Some(2), broken, ..TWO_ROWS };
    assert_breaks("slow pump, timeout below the TTL", WINDOW, long);
    assert_breaks("slow pump, timeout below the TTL", IN_ORDER, long);
}

#[test]
fn a_chunk_with_keys_that_changed_since_inverts_them() {
    let broken = Protocol { broken: &[Broken::KeepsChangedKeys], ..GENESIS };
    assert_breaks("changed keys kept", IN_ORDER, broken);
}

/// `C` has to be where the lane has handed over to, not where it is acknowledged to.
#[test]
fn a_chunk_behind_a_lane_that_ran_ahead_inverts_keys() {
    let broken = Protocol { broken: &[Broken::LaneRunsAhead], ..GENESIS };
    assert_breaks("lane runs ahead", IN_ORDER, broken);
}

/// The row is in quarantine already, and its window's commit may still fail.
#[test]
fn a_request_that_acts_before_the_cursor_has_passed_publishes_twice() {
    let broken = &[Broken::EarlyRequests];
    let early = Protocol { broken, failures: 1, may_drop: false, ..EXACTLY_ONCE };
    assert_breaks("early requests", ONCE, early);
}

#[test]
fn a_place_of_rows_that_were_only_handed_over_loses_them() {
    let broken = Protocol { broken: &[Broken::StoresHandedOver], ..TWO_ROWS };
    assert_breaks("handed over is stored", PASSED, broken);
    assert_breaks("handed over is stored", NOTHING_LEFT, broken);
}

#[test]
fn a_refused_row_that_does_not_hold_its_key_is_overtaken() {
    let broken = &[Broken::KeysNotHeld];
    let poison = Protocol { poison: Some(0), broken, ..TWO_ROWS };
    assert_breaks("keys not held", IN_ORDER, poison);
}

#[test]
fn without_fencing_exactly_once_is_neither() {
    let broken = Protocol { broken: &[Broken::NoFence], poison: None, ..EXACTLY_ONCE };
    assert_breaks("exactly once, no fence", ONCE, broken);
    assert_breaks("exactly once, no fence", NO_LATE, broken);
    assert_breaks("exactly once, no fence", TAIL, broken);
}

/// Its key is free, and the row still on its way by another client.
#[test]
fn a_row_that_is_given_up_on_its_way_inverts_its_key() {
    let broken = &[Broken::DropsInFlight];
    let poison = Protocol { poison: Some(0), may_drop: true, broken, ..TWO_ROWS };
    assert_breaks("drops in flight", IN_ORDER, poison);
}

/// The named window is there; it is the guard that keeps replicas right.
#[test]
fn without_the_guard_a_late_append_stays_in_the_replica() {
    let broken = Protocol { broken: &[Broken::NoGuard], ..TWO_ROWS };
    assert_breaks("no guard", REPLICAS, broken);
}
