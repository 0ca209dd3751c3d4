//! Exactly-once mode: the cursor travels in the transaction, and the broker fences. Design §6.

use crate::protocol::{Broken, Protocol};
use crate::set::Set;
use crate::state::{Chunk, Client, Cursor, Phase, State};

impl Protocol {
    /// Every older client is fenced and its open transaction aborted. No look at the deadline here: it comes before anything is produced.
    pub(crate) fn init_transactions(&self, state: &mut State, session: usize) {
        let client = state.sessions[session].client;
        let fenced = std::mem::replace(&mut state.fence, client);
        if self.is_fenced(state, fenced) {
            state.clients[fenced].transaction.clear();
        }
        state.sessions[session].phase = Phase::Fencing;
    }

    /// The last committed cursor: where to go on, and which rows have left quarantine though Postgres does not know.
    pub(crate) fn read_cursor(state: &mut State, session: usize) {
        let Cursor { passed, released, .. } = state.cursor;
        let pump = &mut state.sessions[session];
        (pump.stored, pump.read) = (passed, passed);
        pump.freed = released.and(pump.held);
        pump.phase = Phase::Ready;
    }

    /// One synchronous write to Postgres, fenced by the epoch: what this window sets aside, and the removal of what the last one released.
    pub(crate) fn prepare(&self, state: &mut State, session: usize) -> Option<()> {
        let pump = &state.sessions[session];
        let streamed = match pump.chunk {
            Some(Chunk::Sent { done, .. }) => done,
            _ => Set::default(),
        };
        let mut released = pump.acked.and(pump.held);
        released.remove(pump.freed);
        let new = pump.read > pump.stored || !released.is_empty() || !streamed.is_empty();
        let settled = pump.settled() == pump.read && !state.has_in_flight(session);
        if pump.phase != Phase::Ready || !new || !settled {
            return None;
        }
        if !self.may_write(state, session) {
            self.lose_lane(state, session);
            return Some(());
        }
        let pump = &mut state.sessions[session];
        let (read, client, freed) = (pump.read, pump.client, std::mem::take(&mut pump.freed));
        pump.held.remove(freed);
        pump.phase = Phase::Committing;
        state.lane.quarantine = state.lane.quarantine.or(pump.held.and(Set::below(read)));
        state.lane.quarantine.remove(freed);
        let streamed = state.cursor.streamed.or(streamed);
        state.clients[client].commit = Some(Cursor { passed: read, streamed, released });
        Some(())
    }

    /// The broker ends the transaction, whoever sent the request and whatever became of him, unless he is fenced.
    pub(crate) fn commit_lands(&self, state: &mut State, client: usize) -> Option<()> {
        let cursor = state.clients[client].commit.take()?;
        if self.is_fenced(state, client) {
            self.fenced(state, client);
            return Some(());
        }
        for message in std::mem::take(&mut state.clients[client].transaction) {
            self.log(state, client, message, false);
        }
        state.move_place(cursor);
        if state.is_live(client) {
            let pump = &mut state.sessions[state.clients[client].session];
            (pump.stored, pump.freed, pump.chunk) = (cursor.passed, cursor.released, None);
            pump.phase = Phase::Ready;
            pump.forget_settled();
        }
        Some(())
    }

    pub(crate) fn is_fenced(&self, state: &State, client: usize) -> bool {
        self.exactly_once && state.fence != client && !self.without(Broken::NoFence)
    }

    /// The broker takes nothing from this client any more. An owner that still holds its lease opens the lane again.
    pub(crate) fn fenced(&self, state: &mut State, client: usize) {
        let Client { session, .. } = state.clients[client];
        state.clients[client].pipes.iter_mut().for_each(Vec::clear);
        state.clients[client].transaction.clear();
        if !state.is_live(client) {
            return;
        }
        if state.sessions[session].deadline > 0 {
            self.rebuild(state, session);
        } else {
            self.lose_lane(state, session);
        }
    }
}
