//! Genesis: a chunk is a part of the lane. Design §7.

use crate::protocol::{Broken, Protocol};
use crate::set::Set;
use crate::state::{Chunk, KEYS, Message, Session, State};

impl Protocol {
    /// The snapshot `G`, on a second connection: the lane goes on meanwhile.
    pub(crate) fn read_chunk(&self, state: &mut State, session: usize) -> Option<()> {
        let todo = (0..KEYS).any(|key| self.may_stream(state, session, key));
        let seen = state.committed;
        let pump = &mut state.sessions[session];
        (todo && pump.chunk.is_none()).then(|| {
            pump.chunk = Some(Chunk::Read { seen });
            pump.attempts += 1;
        })
    }

    /// A key with rows set aside waits for their release.
    fn may_stream(&self, state: &State, session: usize, key: usize) -> bool {
        let blocked = !state.sessions[session].held.and(self.rows_of(key)).is_empty();
        !blocked && !state.cursor.streamed.has(key)
    }

    /// Everything up to `C` is acknowledged or stored in quarantine, `C` covers `G`, and nothing behind `C` has been handed over.
    pub(crate) fn publish_chunk(&self, state: &mut State, session: usize) -> Option<()> {
        let Session { read, stored, held, chunk, attempts, client, .. } = state.sessions[session];
        let Some(Chunk::Read { seen }) = chunk else {
            return None;
        };
        let settled = state.sessions[session].settled();
        let c = if self.without(Broken::LaneRunsAhead) { settled } else { read };
        let mut unstored = held.and(Set::below(c));
        unstored.remove(Set::below(stored));
        if settled < c || c < seen || !unstored.is_empty() || !self.may_hand_over(state, session) {
            return None;
        }
        let (mut open, mut done) = (Set::default(), Set::default());
        for key in (0..KEYS).filter(|&key| self.may_stream(state, session, key)) {
            let mut brought = self.rows_of(key).and(Set::below(c));
            brought.remove(Set::below(seen));
            done.insert(key);
            if brought.is_empty() || self.without(Broken::KeepsChangedKeys) {
                open.insert(key);
            }
        }
        // The epoch in the upper half, the attempt in the lower: never used twice.
        let as_of = u8::try_from(session + 1).unwrap_or(u8::MAX) << 4 | attempts;
        for key in open.iter() {
            let version = self.version(key, seen);
            self.enqueue(state, client, key, Message::Genesis { key, version, as_of });
        }
        state.sessions[session].chunk =
            if done.is_empty() { None } else { Some(Chunk::Sent { open, done }) };
        Some(())
    }
}
