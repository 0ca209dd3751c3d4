//! Time, leases, and the coming and going of owners: `lease.rs`, `membership.rs`, `lanes::claim`.

use crate::protocol::{Broken, Protocol};
use crate::state::{Phase, Session, State};

impl Protocol {
    pub(crate) fn tick(&self, state: &mut State, lag: bool) {
        for (index, session) in state.sessions.iter_mut().enumerate() {
            if self.is_last(index) {
                continue;
            }
            session.lease = session.lease.saturating_sub(1);
            if lag && session.deadline > 0 && !session.lagged {
                session.lagged = true;
                continue;
            }
            session.deadline = session.deadline.saturating_sub(1);
            session.lagged &= session.deadline > 0;
            for client in session.clients() {
                state.clients[client].grow_older();
            }
        }
    }

    pub(crate) fn claim(&self, state: &mut State) -> Option<()> {
        let expired = state.lane.owner.is_none_or(|owner| state.sessions[owner].lease == 0);
        if !expired || state.sessions.len() == self.epochs {
            return None;
        }
        state.lane.owner = Some(state.sessions.len());
        state.replace(0..state.clients.len());
        let client = state.begin_client(state.sessions.len());
        state.sessions.push(Session {
            up: true,
            lease: self.ttl,
            deadline: self.own_ttl(),
            client,
            stored: state.cursor.passed,
            read: state.cursor.passed,
            held: state.lane.quarantine,
            phase: if self.exactly_once { Phase::Claimed } else { Phase::Ready },
            ..Session::default()
        });
        Some(())
    }

    /// Sent, carried out and answered in one step: any delay only makes the relay's own deadline come sooner.
    pub(crate) fn heartbeat(&self, state: &mut State, session: usize) {
        let beating = &mut state.sessions[session];
        (beating.lease, beating.deadline, beating.lagged) = (self.ttl, self.own_ttl(), false);
    }

    /// The session is over: everything is purged and forgotten. The lease ends at once, sooner than it would: nobody else's time depends on it.
    pub(crate) fn lose_lane(&self, state: &mut State, session: usize) {
        let crashed = state.sessions[session].deadline > 0;
        if crashed || !self.without(Broken::NoPurge) {
            for client in state.sessions[session].clients() {
                state.clients[client].purge();
            }
        }
        let Session { client, careful, .. } = state.sessions[session];
        state.replace(state.sessions[session].clients());
        state.sessions[session] = Session { client, careful, ..Session::default() };
    }

    /// Whether the relay may hand over: looked at before each row.
    pub(crate) fn may_hand_over(&self, state: &State, session: usize) -> bool {
        let Session { deadline, phase, .. } = state.sessions[session];
        let room = if self.without(Broken::LongTimeout) { None } else { self.timeout };
        let in_time = deadline > 0 && deadline >= room.unwrap_or(0);
        phase == Phase::Ready && (in_time || self.without(Broken::NoDeadline))
    }

    /// Whether Postgres takes a write about the lane from this session.
    pub(crate) fn may_write(&self, state: &State, session: usize) -> bool {
        state.owns(session) || self.without(Broken::NoEpoch)
    }
}
