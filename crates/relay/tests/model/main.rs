//! The relay's protocol as a model: every interleaving of small worlds, none left out.
//!
//! # Why
//! `lease.rs`, `in_flight.rs` and `pump/` keep order by a handful of rules (deadline, purge, epoch, place, quarantine, chunks of genesis), each of which
//! looks superfluous until the one schedule that needs it. Tests with real servers try some schedules; here [stateright](https://docs.rs/stateright)
//! tries all of them, and each rule is left out once, to see that the checker notices.
//!
//! # What is modelled
//! One lane with two or three rows of two keys. Versions are the rows' numbers; each key has a partition of its own. The cursor is the number of
//! rows passed: that windows tile is the matter of `dionysus_core::Cursor`.
//! - *Relays* are sessions: from a claim (epoch + 1) to the loss of the lane. A relay that claims again is a new session, as in `relay.rs`, so two epochs are
//!   two relays or one that comes back, three are up to three. The last owner never dies: where nothing can happen any more,
//!   everything must be done.
//! - *Pauses* need no action of their own: a process that takes no step is paused, anywhere and for as long as others take theirs. *Crashes* do.
//! - *Time* comes in ticks. Postgres counts a lease's ticks, the relay its own deadline, on a clock that may lose a tick in each lease. The deadline
//!   is shorter by that much (the margin).
//! - *librdkafka*: a queue per partition (purgeable) and requests (not). A rebuilt client is a new one; what the old one had built may
//!   still arrive, in order, or not at all. A client fails or an acknowledgement is lost a bounded number of times.
//! - *The broker* appends what a client sent in its order, whoever owns the lane by then, and refuses the poison row until the operator asks for a retry.
//! - *Quarantine*: rows set aside are stored in the checkpoint's transaction, hold the later rows of their key, and leave in order, by request, through
//!   a second client.
//! - *Genesis*: chunks are read at `G`, published at `C`, without keys that have rows in `(G, C]` and without blocked ones.
//! - *Exactly-once mode*: `init_transactions` fences, the cursor travels in the transaction, the write to Postgres comes before the commit, and the commit may
//!   land after its sender's death.
//!
//! A *late append* comes from a client that was replaced (its session ended, lost the lane or rebuilt it) after somebody else has written that key. Those
//! whose request was built while the lane was its relay's are the window that at-least-once mode names: they are counted apart, everything else counts.
//!
//! # What is abstracted away, and why that loses nothing
//! - *Heartbeats* are sent, carried out and answered at once. Any delay only makes the relay's deadline come sooner, which is a crash at worst.
//! - *Each message is a request.* A batch is appended as a whole: one of the interleavings of its messages.
//! - *Acknowledgements* are heard at once or never. One that comes later is one that the pump looks at later: what the pump does with it
//!   (a checkpoint, a removal) may always be late.
//! - *Losing the lane is a crash*, since both leave nothing but requests. They differ where the purge is left out. A dead owner's lease ends with it:
//!   its successor may come sooner than in truth, and so at any time after.
//! - *Exactly-once mode has no queue*: what is handed over is beyond purging, as if purges never worked.
//! - *Twin topics, wake-ups, several lanes*: lanes share a client, so a failure of one is a failure out of nowhere for another. Those are in.
//! - *Crashes of Postgres* and open transactions: `dionysus_core::Cursor`, and the test of the crash test in `tests/`.
//!
//! One assumption is not harmless: **the pump is prompt**. Between the deadline and the purge librdkafka's threads build no request. A pump that
//! sleeps in a call to Postgres, or is scheduled after those threads when a frozen process thaws, breaks it: `variants.rs` shows what happens, and
//! `worlds.rs` that a message timeout which fits into the lease makes up for it.
//!
//! # How to read a counter-example
//! A failed test prints the property and the steps that lead to its violation. Sessions, clients and rows are numbered from 0 in the order of their
//! beginning; a claim begins a session with a client. Without the purge, for example:
//!
//! ```text
//!   1. Claim                           session 0 takes the lane, with client 0
//!   2. TickWithLag                     one tick of its lease is gone; its own clock has not noticed
//!   3. session 0: HandOver             row 0 waits in the queue of client 0
//!   4. Tick                            the lease has expired
//!   5. Claim                           session 1, client 1
//!   6. session 0: End                  at its deadline, and the queue should have gone
//!   7. session 1: HandOver             row 0 again
//!   8. client 0: Build { key: 0 }      librdkafka's threads go on: what follows lands late, and is not of the named window
//!   9. client 1: Build { key: 0 }
//!  10. client 1: Append { key: 0 }
//!  11. client 0: Append { key: 0 }     and behind the successor's
//! ```
//!
//! The tests print how many states each world has: `cargo test -p dionysus-relay --test model -- --nocapture` shows them, with the shortest way into each
//! violation that a variant must have. `docs/reference/model.md` lists what was found.

use std::fmt::Write;
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

mod actions;
mod broker;
mod exactly_once;
mod genesis;
mod leases;
mod properties;
mod protocol;
mod pump;
mod quarantine;
mod set;
mod state;
mod variants;
mod worlds;

use actions::Action;
use protocol::Protocol;
use state::State;

/// Explores a world whole. Fails with the steps into the first violation, or with the thing that was to happen and never did.
fn assert_holds(world: &str, protocol: Protocol) {
    let begun = Instant::now();
    let checked = protocol.checker().spawn_dfs().join();
    report(world, &checked, begun);
    for property in checked.model().properties() {
        let found = checked.discovery(property.name);
        match (property.expectation, found) {
            (Expectation::Sometimes, None) => panic!("{world}: never seen: {}", property.name),
            (Expectation::Always, Some(path)) => {
                panic!("{world}: violated: {}\n{}", property.name, steps(path));
            }
            _ => {}
        }
    }
}

/// Looks for the shortest way into a violation of that property. Fails if there is none.
fn assert_breaks(world: &str, property: &'static str, protocol: Protocol) {
    let begun = Instant::now();
    let mut shortest = None;
    let mut depth = usize::MAX;
    // The checker tells the last violation of a block of 1,500 states: what is shorter is looked for until there is none.
    loop {
        let until = HasDiscoveries::AnyOf([property].into());
        let search = protocol.checker().target_max_depth(depth).finish_when(until);
        let checked = search.spawn_bfs().join();
        if shortest.is_none() {
            report(world, &checked, begun);
        }
        let Some(path) = checked.discovery(property) else { break };
        depth = path.clone().into_states().len();
        shortest = Some(path);
    }
    let path = shortest.unwrap_or_else(|| panic!("{world}: not noticed: {property}"));
    tell(&format!("{world}: violated: {property}\n{}", steps(path)));
}

fn report(world: &str, checked: &impl Checker<Protocol>, begun: Instant) {
    let (states, steps) = (checked.unique_state_count(), checked.state_count());
    let seconds = begun.elapsed().as_secs_f64();
    tell(&format!("{world}: {states} states, {steps} steps, {seconds:.1} s"));
}

fn steps(path: Path<State, Action>) -> String {
    let mut text = String::new();
    for (number, action) in path.into_actions().iter().enumerate() {
        writeln!(text, "{:>4}. {action}", number + 1).expect("a string takes everything");
    }
    text
}

#[expect(clippy::print_stdout, reason = "figures of a passed test are for people")]
fn tell(text: &str) {
    println!("{text}");
}
