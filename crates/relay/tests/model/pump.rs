//! The relay's loop: hand over, settle, store, start again. `pump/*` and `lane.rs`.

use crate::protocol::{Broken, Protocol};
use crate::set::Set;
use crate::state::{Chunk, Cursor, Message, Phase, Seen, Session, Stage, State};

impl Protocol {
    /// The next row: sent, counted as delivered because that is known, or set aside behind a refused row of its key.
    pub(crate) fn hand_over(&self, state: &mut State, session: usize) -> Option<()> {
        let Session { read, acked, held, .. } = state.sessions[session];
        if read == state.committed || !self.may_hand_over(state, session) {
            return None;
        }
        let pump = &mut state.sessions[session];
        pump.read += 1;
        if acked.has(read) || held.has(read) {
            return Some(());
        }
        if pump.blocks(self, read) && !self.without(Broken::KeysNotHeld) {
            pump.held.insert(read);
        } else {
            let client = pump.client;
            self.enqueue(state, client, self.key(read), Message::Row(read));
        }
        Some(())
    }

    /// Something that was handed over failed, or stalled.
    pub(crate) fn fail(&self, state: &mut State, session: usize) -> Option<()> {
        let Session { client, phase, .. } = state.sessions[session];
        let at_work = phase == Phase::Committing && state.clients[client].commit.is_some();
        self.may_fail(state, client, at_work)?;
        self.rebuild(state, session);
        Some(())
    }

    pub(crate) fn abandon(&self, state: &mut State, session: usize) -> Option<()> {
        let careful = state.sessions[session].careful?;
        self.may_fail(state, careful, false)?;
        state.replace([careful]);
        state.clients[careful].purge();
        state.sessions[session].careful = None;
        Some(())
    }

    /// Each failure counts once: as a lost acknowledgement, or here.
    fn may_fail(&self, state: &mut State, client: usize, at_work: bool) -> Option<()> {
        let mut in_flight = state.clients[client].pipes.iter().flatten().peekable();
        let at_work = at_work || in_flight.peek().is_some();
        if !in_flight.any(|(_, stage)| *stage == Stage::Unheard) {
            if state.failures == self.failures || !at_work {
                return None;
            }
            state.failures += 1;
        }
        Some(())
    }

    /// A new client; the lane goes on behind its acknowledged prefix. In exactly-once mode the transaction is void: the lane is opened anew.
    pub(crate) fn rebuild(&self, state: &mut State, session: usize) {
        let client = state.sessions[session].client;
        state.replace([client]);
        state.clients[client].purge();
        let client = state.begin_client(session);
        let pump = &mut state.sessions[session];
        pump.client = client;
        pump.chunk = None;
        if self.exactly_once {
            (pump.read, pump.acked, pump.phase) = (pump.stored, Set::default(), Phase::Claimed);
            return;
        }
        pump.read = pump.settled();
        if self.without(Broken::ForgetsAcknowledged) {
            pump.acked = pump.acked.and(Set::below(pump.read).or(pump.held));
        }
    }

    /// Stores the place and what was set aside before it, in one transaction. A place that is not ours to store ends the session.
    pub(crate) fn checkpoint(&self, state: &mut State, session: usize) -> Option<()> {
        let pump = &state.sessions[session];
        let unsettled = self.without(Broken::StoresHandedOver);
        let passed = if unsettled { pump.read } else { pump.settled() };
        let streamed = match pump.chunk {
            Some(Chunk::Sent { open, done }) if open.is_empty() => done,
            _ => Set::default(),
        };
        if self.exactly_once || (passed == pump.stored && streamed.is_empty()) {
            return None;
        }
        if !self.may_write(state, session) {
            self.lose_lane(state, session);
            return Some(());
        }
        state.store(session, passed, streamed);
        Some(())
    }

    /// A lane of which nothing is in flight is given up at once, with its last place.
    pub(crate) fn release(&self, state: &mut State, session: usize) -> Option<()> {
        let pump = &state.sessions[session];
        let drained = pump.chunk.is_none() && pump.settled() == pump.read;
        let at_rest = if self.exactly_once {
            pump.phase == Phase::Ready && pump.read == pump.stored && pump.acked.is_empty()
        } else {
            !state.has_in_flight(session) && pump.acked.and(pump.held).is_empty()
        };
        if self.is_last(session) || !drained || !at_rest {
            return None;
        }
        if self.may_write(state, session) {
            let passed = pump.read;
            if !self.exactly_once {
                state.store(session, passed, Set::default());
            }
            state.lane.owner = None;
        }
        self.lose_lane(state, session);
        Some(())
    }

    /// To librdkafka. In exactly-once mode at once into a request, as if nothing could be purged: it must not matter there.
    pub(crate) fn enqueue(&self, state: &mut State, client: usize, key: usize, message: Message) {
        let timeout = self.timeout.unwrap_or(0);
        let queued = Stage::Queued { timeout };
        let at = if self.exactly_once { Stage::Built { owned: false } } else { queued };
        state.clients[client].pipes[key].push((message, at));
    }

    /// A pump that does not look at its deadline does not purge at it either.
    pub(crate) fn may_build(&self, state: &State, client: usize) -> bool {
        let in_time = state.sessions[state.clients[client].session].deadline > 0;
        let unwatched = self.without(Broken::NoDeadline) || self.without(Broken::SlowPump);
        in_time || unwatched || !state.is_live(client)
    }
}

impl State {
    fn store(&mut self, session: usize, passed: usize, streamed: Set) {
        let pump = &mut self.sessions[session];
        pump.stored = passed;
        if !streamed.is_empty() {
            pump.chunk = None;
        }
        let stored = pump.held.and(Set::below(passed));
        self.lane.quarantine = self.lane.quarantine.or(stored);
        self.move_place(Cursor {
            passed,
            streamed: self.cursor.streamed.or(streamed),
            released: Set::default(),
        });
        self.sessions[session].forget_settled();
    }

    /// The cursor in its store takes a new value.
    pub(crate) fn move_place(&mut self, to: Cursor) {
        self.note(Seen::PlaceMovedBack, to.passed < self.cursor.passed);
        self.cursor = to;
    }
}

impl Session {
    /// What is known of rows that are stored is of no use, but for those on their way out of quarantine.
    pub(crate) fn forget_settled(&mut self) {
        let passed = Set::below(self.stored);
        let leaving = self.acked.and(self.held);
        self.acked.remove(passed);
        self.acked = self.acked.or(leaving);
    }
}
