//! What may happen next. An action that can't happen now leaves no step.

use std::fmt;

use stateright::{Model, Property};

use crate::properties;
use crate::protocol::Protocol;
use crate::state::{Client, KEYS, Phase, Session, Stage, State};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// An application commits the next row.
    Commit,
    /// Time passes; where it lags it does not for clocks that have not lost a tick in this lease yet.
    Tick,
    TickWithLag,
    /// A relay takes the lane: the next session begins.
    Claim,
    /// The operator has mended the cause and asks for a retry.
    AskRetry,
    Session(usize, Step),
    Client(usize, Delivery),
}

/// Of a relay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Heartbeat,
    /// The process dies, or gives up at its deadline: its queue is gone, its requests are not.
    End,
    HandOver,
    /// The client fails and is replaced; the lane starts again behind its acknowledged prefix.
    Rebuild,
    /// The second client fails: what it was to release stays in quarantine.
    Abandon,
    Checkpoint,
    /// Everything is acknowledged and the lane is given up at once.
    Release,
    /// The operator's request to give the poison row up is executed.
    Drop,
    /// A quarantined row is handed over again.
    Resend(usize),
    /// What was sent out of quarantine is removed from it.
    Remove,
    ReadChunk,
    PublishChunk,
    InitTransactions,
    ReadCursor,
    /// The synchronous write to Postgres, after which the commit is sent.
    Prepare,
}

/// Of a Kafka client and the broker, on a key's partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Delivery {
    /// librdkafka puts the next message of its queue into a request.
    Build { key: usize },
    /// The broker takes the next request, or refuses it.
    Append { key: usize },
    /// It takes it, and the client is never told.
    AppendUnheard { key: usize },
    /// The broker ends the transaction.
    Commit,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(session, step) => write!(f, "session {session}: {step:?}"),
            Self::Client(client, delivery) => write!(f, "client {client}: {delivery:?}"),
            action => write!(f, "{action:?}"),
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { committed: self.committed, ..State::default() }]
    }

    /// Those that can't happen are sorted out here where a glance shows it: trying one costs a copy of the state.
    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut offer = |possible: bool, action: Action| {
            if possible {
                actions.push(action);
            }
        };
        offer(state.committed < self.rows.len(), Action::Commit);
        offer(state.sessions.len() < self.epochs, Action::Claim);
        offer(!state.lane.quarantine.is_empty(), Action::AskRetry);
        let ticking = |session: &Session| session.lease > 0 || session.deadline > 0;
        let mortal = &state.sessions[..state.sessions.len().min(self.epochs - 1)];
        offer(mortal.iter().any(ticking), Action::Tick);
        offer(mortal.iter().any(|s| s.deadline > 0 && !s.lagged), Action::TickWithLag);
        for (session, pump) in state.sessions.iter().enumerate().filter(|(_, pump)| pump.up) {
            self.steps(state, session, pump, |step| actions.push(Action::Session(session, step)));
        }
        for (client, Client { pipes, commit, .. }) in state.clients.iter().enumerate() {
            let mut offer = |possible: bool, delivery: Delivery| {
                if possible {
                    actions.push(Action::Client(client, delivery));
                }
            };
            for key in (0..KEYS).filter(|&key| !pipes[key].is_empty()) {
                let queued = matches!(pipes[key].last(), Some((_, Stage::Queued { .. })));
                let may_fail = state.failures < self.failures && state.is_live(client);
                offer(queued, Delivery::Build { key });
                offer(true, Delivery::Append { key });
                offer(may_fail, Delivery::AppendUnheard { key });
            }
            offer(commit.is_some(), Delivery::Commit);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let s = &mut state;
        match action {
            Action::Commit => s.committed += 1,
            Action::Tick => self.tick(s, false),
            Action::TickWithLag => self.tick(s, true),
            Action::Claim => self.claim(s)?,
            Action::AskRetry => self.ask_retry(s)?,
            Action::Session(session, step) => self.step(s, session, step)?,
            Action::Client(client, delivery) => match delivery {
                Delivery::Build { key } => self.build(s, client, key)?,
                Delivery::Append { key } => self.append(s, client, key, true)?,
                Delivery::AppendUnheard { key } => self.append(s, client, key, false)?,
                Delivery::Commit => self.commit_lands(s, client)?,
            },
        }
        state.forget_silent_clients();
        (state != *last).then_some(state)
    }

    /// Owners that fence each other in turns would do so for ever.
    fn within_boundary(&self, state: &State) -> bool {
        state.clients.len() <= self.epochs + usize::from(self.failures) + 3
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}

impl Protocol {
    fn steps(&self, state: &State, session: usize, pump: &Session, mut offer: impl FnMut(Step)) {
        let mut offer = |possible: bool, step: Step| {
            if possible {
                offer(step);
            }
        };
        let busy = state.has_in_flight(session) || pump.phase == Phase::Committing;
        let ready = pump.phase == Phase::Ready;
        let mortal = !self.is_last(session);
        offer(mortal && pump.lease > 0, Step::Heartbeat);
        offer(mortal, Step::End);
        offer(ready && pump.read < state.committed, Step::HandOver);
        offer(busy, Step::Rebuild);
        offer(busy && pump.careful.is_some(), Step::Abandon);
        offer(pump.read > pump.stored || pump.chunk.is_some(), Step::Checkpoint);
        offer(mortal && ready && !busy, Step::Release);
        for row in pump.held.iter().filter(|_| ready) {
            offer(true, Step::Resend(row));
            offer(self.may_drop && self.poison == Some(row), Step::Drop);
            offer(pump.acked.or(pump.freed).has(row), Step::Remove);
        }
        offer(self.genesis && pump.chunk.is_none(), Step::ReadChunk);
        offer(pump.chunk.is_some(), Step::PublishChunk);
        offer(pump.phase == Phase::Claimed, Step::InitTransactions);
        offer(pump.phase == Phase::Fencing, Step::ReadCursor);
        offer(self.exactly_once && ready && !busy, Step::Prepare);
    }

    fn step(&self, state: &mut State, session: usize, step: Step) -> Option<()> {
        match step {
            Step::Heartbeat => self.heartbeat(state, session),
            Step::End => self.lose_lane(state, session),
            Step::HandOver => self.hand_over(state, session)?,
            Step::Rebuild => self.fail(state, session)?,
            Step::Abandon => self.abandon(state, session)?,
            Step::Checkpoint => self.checkpoint(state, session)?,
            Step::Release => self.release(state, session)?,
            Step::Drop => self.drop_poison(state, session)?,
            Step::Resend(row) => self.resend(state, session, row)?,
            Step::Remove => self.remove(state, session)?,
            Step::ReadChunk => self.read_chunk(state, session)?,
            Step::PublishChunk => self.publish_chunk(state, session)?,
            Step::InitTransactions => self.init_transactions(state, session),
            Step::ReadCursor => Self::read_cursor(state, session),
            Step::Prepare => self.prepare(state, session)?,
        }
        Some(())
    }
}
