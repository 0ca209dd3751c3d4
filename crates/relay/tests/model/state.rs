//! What the world remembers: Postgres, Kafka, the relays and what is on the wire between them.

use crate::protocol::Protocol;
use crate::set::Set;

/// Keys of the lane, each with a partition of its own: acknowledgements of different keys come in any order.
pub(crate) const KEYS: usize = 2;

/// What is stored with the lane's place: in Postgres, or in exactly-once mode in Kafka.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Cursor {
    /// How many rows the lane has passed.
    pub(crate) passed: usize,
    /// Keys that the genesis run is done with.
    pub(crate) streamed: Set,
    /// Exactly-once mode: rows out of quarantine that this very transaction published; their removal may be outstanding.
    pub(crate) released: Set,
}

/// The lane in Postgres. Its epoch is the number of sessions so far.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Lane {
    pub(crate) owner: Option<usize>,
    pub(crate) quarantine: Set,
    /// Given up by the operator.
    pub(crate) dropped: Set,
    /// The operator has mended the cause and asks for another try of the poison row.
    pub(crate) retry: bool,
}

/// Exactly-once mode: how far a session has come with its transaction.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) enum Phase {
    /// Before `init_transactions`.
    #[default]
    Claimed,
    /// After it, before the stored cursor is read.
    Fencing,
    Ready,
    /// The write to Postgres is done and the commit is on its way to Kafka.
    Committing,
}

/// A chunk of the genesis run.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Chunk {
    /// Read when that many rows had been committed: the snapshot `G`.
    Read { seen: usize },
    /// Handed over: which keys are not acknowledged, and which are done with once they are.
    Sent { open: Set, done: Set },
}

/// A relay from the claim of the lane to its loss. A relay that claims again is a new session, so any number of relays is in the model.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Session {
    pub(crate) up: bool,
    /// Ticks until Postgres takes the lease for expired.
    pub(crate) lease: u8,
    /// Ticks until the relay does, on its own clock.
    pub(crate) deadline: u8,
    /// Its clock has lost a tick in this lease.
    pub(crate) lagged: bool,
    pub(crate) client: usize,
    /// The second client, for releases from quarantine.
    pub(crate) careful: Option<usize>,
    /// The last place that it knows to be stored.
    pub(crate) stored: usize,
    /// The next row to hand over.
    pub(crate) read: usize,
    pub(crate) acked: Set,
    /// Rows set aside: refused, or behind a refused one. Below `stored` they are in quarantine.
    pub(crate) held: Set,
    /// Exactly-once mode: published out of quarantine, not yet removed from it.
    pub(crate) freed: Set,
    pub(crate) chunk: Option<Chunk>,
    /// Chunks read so far: the lower half of `as-of`.
    pub(crate) attempts: u8,
    pub(crate) phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Message {
    Row(usize),
    /// State of a key as a chunk saw it.
    Genesis {
        key: usize,
        version: usize,
        as_of: u8,
    },
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Stage {
    /// In librdkafka's queue: a purge removes it. Its message timeout, in ticks of the relay's clock.
    Queued { timeout: u8 },
    /// In a request: a purge comes too late. Whether the lane was its session's when it was built.
    Built { owned: bool },
    /// Appended, and the acknowledgement is lost: the client will fail.
    Unheard,
}

pub(crate) const NOT_REPLACED: u8 = u8::MAX;

/// A Kafka client; a rebuilt one is another. Each delivers a partition's messages in order, or not at all.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Client {
    pub(crate) session: usize,
    /// Where it stands among those that were replaced: the earlier, the lower.
    pub(crate) replaced: u8,
    /// Keys on which somebody has written who was replaced later, or is not.
    pub(crate) overtaken: Set,
    /// librdkafka's threads run.
    pub(crate) running: bool,
    pub(crate) pipes: [Vec<(Message, Stage)>; KEYS],
    /// Exactly-once mode: appended, invisible until the commit.
    pub(crate) transaction: Vec<Message>,
    /// Exactly-once mode: the commit, on its way to the broker.
    pub(crate) commit: Option<Cursor>,
}

/// A partition's log, cut down to what the properties ask.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Log {
    /// Version of the last append that is not counted apart.
    pub(crate) last: usize,
    /// Version of the last append of all: what compaction leaves.
    pub(crate) tail: usize,
    /// What a replica holds that has read all of it: version and as-of.
    pub(crate) replica: (usize, u8),
}

/// What was seen to go wrong, or to happen at all.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Seen {
    Inversion,
    Duplicate,
    PlaceMovedBack,
    /// A late append, out of the window that is named.
    Late,
    /// One that was built after its relay had lost the lane.
    Stray,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) committed: usize,
    pub(crate) lane: Lane,
    pub(crate) cursor: Cursor,
    pub(crate) sessions: Vec<Session>,
    pub(crate) clients: Vec<Client>,
    /// Exactly-once mode: the client that called `init_transactions` last.
    pub(crate) fence: usize,
    /// Clients that failed and acknowledgements that were lost.
    pub(crate) failures: u8,
    pub(crate) logs: [Log; KEYS],
    /// Rows in the log, and those of them that are not counted apart.
    pub(crate) appended: Set,
    pub(crate) counted: Set,
    /// Of [`Seen`].
    pub(crate) seen: Set,
}

impl State {
    pub(crate) fn note(&mut self, seen: Seen, happened: bool) {
        if happened {
            self.seen.insert(seen as usize);
        }
    }

    pub(crate) fn saw(&self, seen: Seen) -> bool {
        self.seen.has(seen as usize)
    }

    /// Whether the lane is this session's, by Postgres.
    pub(crate) fn owns(&self, session: usize) -> bool {
        self.lane.owner == Some(session)
    }

    /// Whether a client is in use by a session.
    pub(crate) fn is_live(&self, client: usize) -> bool {
        let session = &self.sessions[self.clients[client].session];
        session.up && session.clients().any(|used| used == client)
    }

    pub(crate) fn has_in_flight(&self, session: usize) -> bool {
        let pipes = |client: usize| self.clients[client].pipes.iter();
        self.sessions[session].clients().flat_map(pipes).any(|pipe| !pipe.is_empty())
    }

    pub(crate) fn is_in_flight(&self, session: usize, key: usize, row: usize) -> bool {
        let pipe = |client: usize| self.clients[client].pipes[key].iter();
        let mut messages = self.sessions[session].clients().flat_map(pipe);
        messages.any(|(message, _)| *message == Message::Row(row))
    }

    /// From now on others write in the place of these clients.
    pub(crate) fn replace(&mut self, clients: impl IntoIterator<Item = usize>) {
        let replaced = |client: &Client| Some(client.replaced).filter(|&at| at < NOT_REPLACED);
        let next = self.clients.iter().filter_map(replaced).max().unwrap_or(0) + 1;
        for client in clients {
            let client = &mut self.clients[client];
            client.replaced = client.replaced.min(next);
        }
    }

    pub(crate) fn begin_client(&mut self, session: usize) -> usize {
        self.clients.push(Client::new(session));
        self.clients.len() - 1
    }
}

impl Session {
    pub(crate) fn clients(&self) -> impl Iterator<Item = usize> + use<> {
        std::iter::once(self.client).chain(self.careful)
    }

    /// How far the unbroken prefix of acknowledged or set aside rows has come: `in_flight.rs`.
    pub(crate) fn settled(&self) -> usize {
        let done = self.acked.or(self.held).0 >> self.stored;
        self.read.min(self.stored + done.trailing_ones() as usize)
    }

    /// Whether an earlier row of the same key is set aside.
    pub(crate) fn blocks(&self, protocol: &Protocol, row: usize) -> bool {
        let earlier = self.held.and(Set::below(row));
        !earlier.is_empty() && !earlier.and(protocol.rows_of(protocol.key(row))).is_empty()
    }
}
