//! Rows that the broker refuses: set aside with the later rows of their key, released in order.

use crate::protocol::{Broken, Protocol};
use crate::set::Set;
use crate::state::{Message, Phase, Session, State};

impl Protocol {
    pub(crate) fn ask_retry(&self, state: &mut State) -> Option<()> {
        let waits = self.poison.is_some_and(|row| state.lane.quarantine.has(row));
        (waits && !state.lane.retry).then(|| state.lane.retry = true)
    }

    /// Nothing but the owner touches quarantined rows, and not before the cursor has passed them, nor while they are on their way.
    pub(crate) fn drop_poison(&self, state: &mut State, session: usize) -> Option<()> {
        let row = self.poison.filter(|&row| state.lane.quarantine.has(row))?;
        let pump = &state.sessions[session];
        let carried =
            state.is_in_flight(session, self.key(row), row) && !self.without(Broken::DropsInFlight);
        let at_rest = pump.phase == Phase::Ready && !pump.acked.has(row) && !carried;
        if !at_rest || row >= pump.stored || !pump.held.has(row) || !self.may_write(state, session)
        {
            return None;
        }
        let dropped = Set::of(row);
        state.lane.quarantine.remove(dropped);
        state.lane.dropped = state.lane.dropped.or(dropped);
        state.sessions[session].held.remove(dropped);
        Some(())
    }

    /// The next row of its key goes out, behind those before it; refused, it needs the operator's word.
    pub(crate) fn resend(&self, state: &mut State, session: usize, row: usize) -> Option<()> {
        let pump = &state.sessions[session];
        let key = self.key(row);
        let sent = |row| pump.acked.has(row) || state.is_in_flight(session, key, row);
        let earlier = pump.held.and(self.rows_of(key)).and(Set::below(row));
        let its_turn = !pump.freed.has(row) && !sent(row) && earlier.iter().all(sent);
        let allowed = self.poison != Some(row) || state.lane.retry;
        if !its_turn || !allowed || !self.may_hand_over(state, session) {
            return None;
        }
        if !state.lane.quarantine.has(row) || !self.has_passed(state, session, row) {
            return None;
        }
        let client = self.careful_client(state, session);
        self.enqueue(state, client, key, Message::Row(row));
        Some(())
    }

    /// In exactly-once mode all of a lane goes through one transaction, so through one client.
    fn careful_client(&self, state: &mut State, session: usize) -> usize {
        let Session { client, careful, .. } = state.sessions[session];
        if self.exactly_once {
            return client;
        }
        careful.unwrap_or_else(|| {
            let careful = state.begin_client(session);
            state.sessions[session].careful = Some(careful);
            careful
        })
    }

    fn has_passed(&self, state: &State, session: usize, row: usize) -> bool {
        row < state.sessions[session].stored || self.without(Broken::EarlyRequests)
    }

    /// The key is free once this has committed.
    pub(crate) fn remove(&self, state: &mut State, session: usize) -> Option<()> {
        let pump = &state.sessions[session];
        let gone = if self.exactly_once { pump.freed } else { pump.acked.and(pump.held) };
        if gone.is_empty() {
            return None;
        }
        if !self.may_write(state, session) {
            self.lose_lane(state, session);
            return Some(());
        }
        state.lane.quarantine.remove(gone);
        let pump = &mut state.sessions[session];
        pump.held.remove(gone);
        pump.freed.remove(gone);
        pump.forget_settled();
        Some(())
    }
}
