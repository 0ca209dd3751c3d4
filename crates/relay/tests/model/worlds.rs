//! Small worlds in which the protocol holds, each explored whole.

use crate::assert_holds;
use crate::protocol::{Broken, Protocol, TWO_KEYS, TWO_ROWS};

#[test]
fn a_lane_changes_hands_between_two_relays() {
    assert_holds("two relays", TWO_KEYS);
    assert_holds("two relays, a client fails", Protocol { failures: 1, ..TWO_KEYS });
}

#[test]
fn a_lane_changes_hands_between_three_relays() {
    assert_holds("three relays", Protocol { epochs: 3, ..TWO_ROWS });
}

#[test]
fn a_refused_row_holds_its_key_alone() {
    let poison = Protocol { poison: Some(0), may_drop: true, ..TWO_KEYS };
    assert_holds("poison", poison);
    assert_holds("poison behind", Protocol { rows: &[0, 0, 1], poison: Some(1), ..poison });
}

#[test]
fn a_refused_row_outlives_owners_and_clients() {
    let poison = Protocol { poison: Some(0), ..TWO_ROWS };
    assert_holds("poison, a client fails", Protocol { failures: 1, may_drop: true, ..poison });
    assert_holds("poison, three relays", Protocol { epochs: 3, ..poison });
}

#[test]
fn a_chunk_never_overtakes_rows_nor_rows_a_chunk() {
    let genesis = Protocol { genesis: true, ..TWO_KEYS };
    assert_holds("genesis", Protocol { committed: 2, ..genesis });
    let alone = Protocol { committed: 1, epochs: 1, failures: 1, ..genesis };
    assert_holds("genesis, a client fails", alone);
}

#[test]
fn a_chunk_leaves_out_blocked_keys_until_they_are_released() {
    let genesis = Protocol { genesis: true, committed: 1, poison: Some(0), ..TWO_ROWS };
    assert_holds("genesis, poison", genesis);
}

/// What `in_flight.rs` does today: acknowledgements behind the settled prefix die with their client. That costs repetitions, not order.
#[test]
fn forgetting_acknowledgements_repeats_rows_in_order() {
    let broken = &[Broken::ForgetsAcknowledged];
    let rows = &[1, 0, 0];
    assert_holds("forgetful", Protocol { rows, failures: 1, broken, epochs: 1, ..TWO_KEYS });
    assert_holds("forgetful, two relays", Protocol { rows, broken, ..TWO_KEYS });
}

#[test]
fn exactly_once_shows_each_row_once() {
    let exactly_once = Protocol { exactly_once: true, ..TWO_KEYS };
    assert_holds("exactly once, a client fails", Protocol { failures: 1, ..exactly_once });
    assert_holds(
        "exactly once, three relays",
        Protocol { exactly_once: true, epochs: 3, ..TWO_ROWS },
    );
}

#[test]
fn exactly_once_keeps_quarantine_across_both_stores() {
    let exactly_once = Protocol { exactly_once: true, poison: Some(0), ..TWO_ROWS };
    assert_holds("exactly once, poison, a client fails", Protocol { failures: 1, ..exactly_once });
    assert_holds("exactly once, poison, a drop", Protocol { may_drop: true, ..exactly_once });
    let two_keys = Protocol { rows: TWO_KEYS.rows, committed: 3, ..exactly_once };
    assert_holds("exactly once, poison, two keys", two_keys);
}

#[test]
fn exactly_once_streams_a_chunk_once() {
    let genesis = Protocol { exactly_once: true, genesis: true, committed: 1, ..TWO_ROWS };
    assert_holds("exactly once, genesis", genesis);
}

/// The broker fences by itself: no clock takes part, and (as in all of that mode) no purge.
#[test]
fn exactly_once_needs_no_clock() {
    let broken = &[Broken::NoDeadline, Broken::NoMargin];
    let exactly_once = Protocol { exactly_once: true, broken, ..TWO_ROWS };
    assert_holds("exactly once, no clock", exactly_once);
    assert_holds("exactly once, no clock, poison", Protocol { poison: Some(0), ..exactly_once });
}

/// librdkafka's own timeout, where it can't outlive the lease, does without promptness and even without the purge.
#[test]
fn a_message_timeout_within_the_lease_needs_no_prompt_pump() {
    let broken = &[Broken::SlowPump, Broken::NoPurge];
    let within = Protocol { ttl: 3, timeout: Some(1), broken, ..TWO_KEYS };
    assert_holds("timeout within the lease", within);
    let three = Protocol { rows: TWO_ROWS.rows, committed: 2, epochs: 3, ..within };
    assert_holds("timeout within the lease, three relays", three);
}
