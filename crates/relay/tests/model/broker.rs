//! librdkafka's queue and requests, the broker that appends them, and the log that is left.

use crate::protocol::{Broken, Protocol};
use crate::set::Set;
use crate::state::{Chunk, Client, KEYS, Message, NOT_REPLACED, Seen, Stage, State};

impl Client {
    pub(crate) fn new(session: usize) -> Self {
        Self {
            session,
            replaced: NOT_REPLACED,
            overtaken: Set::default(),
            running: true,
            pipes: [const { Vec::new() }; KEYS],
            transaction: Vec::new(),
            commit: None,
        }
    }

    /// Purged and dropped: requests alone may still arrive, and nobody hears of it.
    pub(crate) fn purge(&mut self) {
        self.running = false;
        for pipe in &mut self.pipes {
            pipe.retain(|(_, stage)| matches!(stage, Stage::Built { .. }));
        }
    }

    /// A tick on the relay's clock.
    pub(crate) fn grow_older(&mut self) {
        for (_, stage) in self.pipes.iter_mut().flatten() {
            if let Stage::Queued { timeout } = stage {
                *timeout = timeout.saturating_sub(1);
            }
        }
    }
}

impl State {
    fn acknowledge(&mut self, client: usize, key: usize, message: Message) {
        if !self.is_live(client) {
            return;
        }
        let pump = &mut self.sessions[self.clients[client].session];
        match (message, &mut pump.chunk) {
            (Message::Row(row), _) => pump.acked.insert(row),
            (Message::Genesis { .. }, Some(Chunk::Sent { open, .. })) => {
                open.remove(Set::of(key));
            }
            (Message::Genesis { .. }, _) => {}
        }
    }

    /// Of clients that will not be heard of any more nothing is remembered: fewer states are the same.
    pub(crate) fn forget_silent_clients(&mut self) {
        for client in &mut self.clients {
            let is_silent = !client.running && client.pipes.iter().all(Vec::is_empty);
            if is_silent && client.commit.is_none() {
                (client.replaced, client.overtaken) = (0, Set::default());
            }
        }
    }

    /// What those who were replaced before the writer still bring on this key comes late from now on.
    fn overtake(&mut self, writer: usize, key: usize) {
        let replaced = self.clients[writer].replaced;
        for client in &mut self.clients {
            let may_write =
                client.running || client.commit.is_some() || !client.pipes[key].is_empty();
            if may_write && client.replaced < replaced {
                client.overtaken.insert(key);
            }
        }
    }
}

impl Protocol {
    pub(crate) fn build(&self, state: &mut State, client: usize, key: usize) -> Option<()> {
        let session = state.clients[client].session;
        if !state.clients[client].running || !self.may_build(state, client) {
            return None;
        }
        let owned = state.owns(session) && state.sessions[session].lease > 0;
        let mut queued = state.clients[client].pipes[key].iter_mut().map(|(_, stage)| stage);
        let next = queued.find(|stage| matches!(stage, Stage::Queued { .. }))?;
        if self.timeout.is_some() && *next == (Stage::Queued { timeout: 0 }) {
            return None;
        }
        *next = Stage::Built { owned };
        Some(())
    }

    pub(crate) fn append(
        &self,
        state: &mut State,
        client: usize,
        key: usize,
        heard: bool,
    ) -> Option<()> {
        let pipe = &state.clients[client].pipes[key];
        let at = pipe.iter().position(|(_, stage)| *stage != Stage::Unheard)?;
        let (message, Stage::Built { owned }) = pipe[at] else {
            return None;
        };
        let refused =
            self.poison.is_some_and(|row| message == Message::Row(row)) && !state.lane.retry;
        let fenced = self.is_fenced(state, client);
        if !heard
            && (refused || fenced || !state.is_live(client) || state.failures == self.failures)
        {
            return None;
        }
        if fenced {
            self.fenced(state, client);
            return Some(());
        }
        if refused {
            self.refuse(state, client, key, message);
            return Some(());
        }
        if self.exactly_once {
            state.clients[client].transaction.push(message);
        } else {
            self.log(state, client, message, owned);
        }
        let pipe = &mut state.clients[client].pipes[key];
        if !heard {
            state.failures += 1;
        }
        // Told in order: what comes behind a lost acknowledgement is lost with it.
        if !heard || at > 0 {
            pipe[at].1 = Stage::Unheard;
        } else {
            pipe.remove(at);
            state.acknowledge(client, key, message);
        }
        Some(())
    }

    /// A refusal is fatal for the client: gapless delivery sends nothing that comes after.
    fn refuse(&self, state: &mut State, client: usize, key: usize, message: Message) {
        state.clients[client].pipes[key].clear();
        if let (Message::Row(row), true) = (message, state.is_live(client)) {
            let session = state.clients[client].session;
            state.sessions[session].held.insert(row);
            self.rebuild(state, session);
        }
    }

    /// A message becomes visible.
    pub(crate) fn log(&self, state: &mut State, client: usize, message: Message, owned: bool) {
        let key = match message {
            Message::Row(row) => self.key(row),
            Message::Genesis { key, .. } => key,
        };
        let late = state.clients[client].overtaken.has(key);
        state.overtake(client, key);
        state.note(Seen::Late, late);
        state.note(Seen::Stray, late && !owned);
        if !late || !owned {
            self.count(state, key, message);
        }
        let (version, as_of) = match message {
            Message::Row(row) => (row + 1, 0),
            Message::Genesis { version, as_of, .. } => (version, as_of),
        };
        state.logs[key].tail = version;
        let replica = &mut state.logs[key].replica;
        if self.without(Broken::NoGuard) || (version, as_of) >= *replica {
            *replica = (version, as_of);
        }
        if let Message::Row(row) = message {
            state.appended.insert(row);
        }
    }

    /// The order of design §11: a version comes after all that are lower, a repeated one may come again.
    fn count(&self, state: &mut State, key: usize, message: Message) {
        let of_key = self.rows_of(key);
        let there = state.counted.or(state.lane.dropped).and(of_key);
        let (version, in_order) = match message {
            Message::Row(row) if state.counted.has(row) => {
                state.note(Seen::Duplicate, true);
                (row + 1, true)
            }
            // Its first appearance: right behind its predecessor.
            Message::Row(row) => {
                let before = of_key.and(Set::below(row));
                let mut skipped = before;
                skipped.remove(Set::below(state.logs[key].last));
                skipped.remove(state.lane.dropped);
                let follows = state.logs[key].last <= row && skipped.is_empty();
                (row + 1, follows && before.and(there) == before)
            }
            // What its snapshot saw lies before it, and nothing else.
            Message::Genesis { version, .. } => {
                let mut unseen = of_key.and(state.counted);
                unseen.remove(Set::below(version));
                let before = of_key.and(Set::below(version));
                (version, before.and(there) == before && unseen.is_empty())
            }
        };
        state.note(Seen::Inversion, !in_order);
        if let Message::Row(row) = message {
            state.counted.insert(row);
        }
        state.logs[key].last = version;
    }
}
