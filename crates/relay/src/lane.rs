//! A lane as its owner sees it: where it was stored, how far it was acknowledged, how far it was read.
//!
//! `stored <= settled <= read`, always. A restart goes back from `read` to `settled`; forgetting (a lost connection to Postgres) goes back
//! to `stored`, because only a stored cursor survives a crash of the server (see [`dionysus_core::Cursor`]).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dionysus_core::{Cursor, GENESIS_SUFFIX, Snapshot};
use dionysus_postgres::lanes::Claimed;
use tokio::time::Instant;

use crate::error::Chain;
use crate::in_flight::{InFlight, Settled};
use crate::observe::LaneMeters;
use crate::quarantine::KeptBack;

/// The wait before a blocked lane is tried again: doubles up to the second bound.
const BLOCKED_FIRST: Duration = Duration::from_millis(500);
const BLOCKED_MAX: Duration = Duration::from_secs(30);

/// See the diagram in `lease.rs`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Its topics are being looked up or created.
    Opening,
    /// Read and published.
    Active,
    /// A cause of this topic stops it until then; the others flow.
    Blocked { until: Instant },
    /// No longer read: waits for its acknowledgements, then is given up.
    Draining,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) topic: String,
    /// The twin topic, where there is one.
    pub(crate) twin: Option<String>,
    pub(crate) epoch: i64,
    pub(crate) state: State,
    /// What the database knows.
    pub(crate) stored: Cursor,
    /// Everything before it is in Kafka.
    pub(crate) settled: Cursor,
    /// Everything before it was read.
    pub(crate) read: Cursor,
    /// The round (wake-up or poll) in which the snapshot was taken that the lane reads up to.
    pub(crate) round: u64,
    /// The last request that read it: the lane that waited longest is next.
    pub(crate) last_request: u64,
    /// Read requests before this one are not ours any more.
    pub(crate) valid_from: u64,
    /// A read is under way.
    pub(crate) reading: bool,
    /// The largest message that its topics accept, in bytes; known once it is open.
    pub(crate) limit: usize,
    /// The deliveries of the client that serves us.
    pub(crate) in_flight: Arc<InFlight>,
    /// Our index in them.
    pub(crate) slots: usize,
    /// How many messages are to go through the careful client, since a broker refused a batch with them; `None` for a lane of the first client.
    pub(crate) doubt: Option<u64>,
    /// Of a lane of the careful client: the messages of the lane up to the last of each key.
    careful_keys: HashMap<String, u64>,
    /// Rows that are kept back from Kafka.
    pub(crate) kept: KeptBack,
    /// Messages handed over since the lane was opened there.
    pub(crate) handed: u64,
    /// Messages of the acknowledged prefix, since the lane was opened there.
    acknowledged: u64,
    /// When its place was stored last, or read.
    pub(crate) stored_at: Instant,
    /// Something was acknowledged since the place was last stored.
    pub(crate) unstored: bool,
    /// All rows of the window up to this number were handed over, to the twin as well.
    pub(crate) handed_seq: i64,
    windows: VecDeque<HandedWindow>,
    backoff: Duration,
    /// Why it was blocked last; forgotten when something is acknowledged.
    pub(crate) cause: Option<String>,
    pub(crate) meters: LaneMeters,
    /// Rows of the acknowledged prefix that are counted already.
    counted: u64,
}

/// A window of which rows were handed over.
#[derive(Debug)]
struct HandedWindow {
    from: Snapshot,
    to: Snapshot,
    /// Messages handed over before its first.
    start: u64,
    /// Messages handed over up to its last, once that is known.
    end: Option<u64>,
}

impl Lane {
    pub(crate) fn new(claimed: Claimed, in_flight: &Arc<InFlight>, valid_from: u64) -> Self {
        let meters = LaneMeters::new(&claimed.topic);
        let twin = claimed.genesis_replica.then(|| format!("{}{GENESIS_SUFFIX}", claimed.topic));
        Self {
            topic: claimed.topic,
            twin,
            epoch: claimed.epoch,
            state: State::Opening,
            stored: claimed.cursor.clone(),
            settled: claimed.cursor.clone(),
            read: claimed.cursor,
            round: 0,
            last_request: 0,
            valid_from,
            reading: false,
            limit: usize::MAX,
            in_flight: Arc::clone(in_flight),
            slots: in_flight.open(),
            doubt: None,
            careful_keys: HashMap::new(),
            kept: KeptBack::default(),
            handed: 0,
            acknowledged: 0,
            stored_at: Instant::now(),
            unstored: false,
            handed_seq: Cursor::WINDOW_START,
            windows: VecDeque::new(),
            backoff: BLOCKED_FIRST,
            cause: None,
            meters,
            counted: 0,
        }
    }

    /// Whether a read would bring something in this round.
    pub(crate) fn wants(&self, round: u64) -> bool {
        self.state == State::Active
            && !self.reading
            && (self.round < round || matches!(self.read, Cursor::Inside { .. }))
    }

    /// The rows that follow are of this window and come after number `after`; called for each chunk of it.
    pub(crate) fn open_window(&mut self, from: &Snapshot, to: &Snapshot, after: i64) {
        self.handed_seq = after;
        if self.windows.back().is_none_or(|window| window.end.is_some()) {
            self.windows.push_back(HandedWindow {
                from: from.clone(),
                to: to.clone(),
                start: self.handed,
                end: None,
            });
        }
    }

    /// The last row of the window was handed over.
    pub(crate) fn close_window(&mut self) {
        if let Some(window) = self.windows.back_mut() {
            window.end = Some(self.handed);
        }
    }

    /// What was acknowledged of what was handed over.
    pub(crate) fn deliveries(&self) -> Settled {
        self.in_flight.settled(self.slots)
    }

    /// Whether these slots are ours.
    pub(crate) fn is_seated(&self, in_flight: &Arc<InFlight>, slots: usize) -> bool {
        Arc::ptr_eq(&self.in_flight, in_flight) && self.slots == slots
    }

    /// Whether it is a lane of the careful client that has handed over all that was in doubt.
    pub(crate) fn is_past_doubt(&self) -> bool {
        self.doubt.is_some_and(|doubt| self.handed >= doubt)
    }

    /// Whether a row of this key is with the careful client, and the next must wait.
    pub(crate) fn awaits(&self, key: &str) -> bool {
        self.careful_keys.get(key).is_some_and(|end| *end > self.deliveries().messages)
    }

    /// All messages of a row of this key were handed over.
    pub(crate) fn handed_over(&mut self, key: &str) {
        if self.doubt.is_some() {
            self.careful_keys.insert(key.to_owned(), self.handed);
        }
    }

    /// Moves `settled` to the end of the acknowledged prefix.
    pub(crate) fn settle(&mut self) {
        self.settle_at(self.deliveries());
    }

    fn settle_at(&mut self, settled: Settled) {
        self.kept.settle(settled.messages);
        if settled.messages > self.acknowledged {
            self.acknowledged = settled.messages;
            self.unstored = true;
            self.backoff = BLOCKED_FIRST;
            self.cause = None;
            self.meters.published.increment(settled.rows - self.counted);
            self.counted = settled.rows;
        }
        while let Some(window) = self.windows.front() {
            if window.end.is_some_and(|end| settled.messages >= end) {
                if let Some(window) = self.windows.pop_front() {
                    self.settled = Cursor::At(window.to);
                }
                continue;
            }
            if settled.messages > window.start {
                self.settled = Cursor::Inside {
                    from: window.from.clone(),
                    to: window.to.clone(),
                    seq: settled.seq,
                };
            }
            break;
        }
    }

    /// Starts again behind the acknowledged prefix, with new slots; reads under way are void.
    pub(crate) fn restart(&mut self, in_flight: &Arc<InFlight>, next_request: u64) {
        self.read = self.settled.clone();
        self.windows.clear();
        self.careful_keys.clear();
        self.kept.restart();
        self.doubt = self.doubt.map(|doubt| doubt.saturating_sub(self.acknowledged));
        self.in_flight = Arc::clone(in_flight);
        self.slots = in_flight.open();
        self.handed = 0;
        self.acknowledged = 0;
        self.counted = 0;
        self.reading = false;
        self.round = 0;
        self.valid_from = next_request;
    }

    /// Goes on later, behind the acknowledged prefix; reads under way are void.
    pub(crate) fn pause(&mut self, until: Instant, next_request: u64) {
        self.state = State::Blocked { until };
        self.reading = false;
        self.valid_from = next_request;
    }

    /// Shows how many rows are kept back.
    pub(crate) fn show_kept(&self) {
        self.meters.quarantined(self.kept.rows());
    }

    /// Stops for a while because of a cause of this topic; reads under way are void.
    pub(crate) fn block(
        &mut self,
        now: Instant,
        next_request: u64,
        cause: &dyn std::error::Error,
    ) -> Duration {
        self.cause = Some(Chain(cause).to_string());
        let wait = self.backoff;
        self.pause(now + wait, next_request);
        self.backoff = (wait * 2).min(BLOCKED_MAX);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    use dionysus_kafka::DeliverySink as _;

    fn lane() -> Lane {
        Lane::new(
            Claimed {
                topic: "v3_rentals".into(),
                genesis_replica: true,
                epoch: 1,
                cursor: Cursor::At("5:5:".parse().unwrap()),
            },
            &Arc::default(),
            0,
        )
    }

    fn settled(messages: u64, seq: i64) -> Settled {
        Settled { messages, rows: messages, seq, waiting: 0 }
    }

    #[test]
    fn the_place_inside_a_window_is_the_last_acknowledged_row() {
        let (mut lane, from, to) = (lane(), "5:5:".parse().unwrap(), "9:9:".parse().unwrap());
        lane.open_window(&from, &to, 0);
        lane.handed = 3;
        lane.settle_at(settled(0, 0));
        assert_eq!(lane.settled, Cursor::At(from.clone()));
        lane.settle_at(settled(2, 12));
        assert_eq!(lane.settled, Cursor::Inside { from, to: to.clone(), seq: 12 });
        lane.close_window();
        lane.settle_at(settled(2, 12));
        assert!(matches!(lane.settled, Cursor::Inside { .. }), "its last row is not acknowledged");
        lane.settle_at(settled(3, 13));
        assert_eq!(lane.settled, Cursor::At(to));
    }

    #[test]
    fn empty_windows_pass_once_everything_before_them_has() {
        let (mut lane, a, b, c) =
            (lane(), "5:5:".parse().unwrap(), "9:9:".parse().unwrap(), "12:12:".parse().unwrap());
        lane.open_window(&a, &b, 0);
        lane.handed = 1;
        lane.close_window();
        lane.open_window(&b, &c, 0);
        lane.close_window();
        lane.settle_at(settled(0, 0));
        assert_eq!(lane.settled, Cursor::At(a));
        lane.settle_at(settled(1, 7));
        assert_eq!(lane.settled, Cursor::At(c));
    }

    #[test]
    fn a_restart_goes_back_to_what_was_acknowledged() {
        let (mut lane, from, to) = (lane(), "5:5:".parse().unwrap(), "9:9:".parse().unwrap());
        lane.open_window(&from, &to, 0);
        lane.handed = 3;
        lane.read = Cursor::At("9:9:".parse().unwrap());
        lane.settle_at(settled(1, 11));
        let in_flight = Arc::new(InFlight::default());
        in_flight.open();
        lane.restart(&in_flight, 17);
        assert_eq!(lane.read, Cursor::Inside { from, to, seq: 11 });
        assert_eq!((lane.slots, lane.handed, lane.valid_from), (1, 0, 17));
    }

    #[test]
    fn in_doubt_one_row_of_a_key_is_on_its_way_at_a_time() {
        let mut lane = lane();
        let hand_over = |lane: &mut Lane, key: &str| {
            let ticket = lane.in_flight.expect(lane.slots, 10, 10, Some(0));
            lane.handed += 1;
            lane.handed_over(key);
            ticket
        };
        hand_over(&mut lane, "a");
        assert!(!lane.awaits("a"), "the first client keeps the order by itself");
        lane.doubt = Some(5);
        let in_flight = Arc::new(InFlight::default());
        lane.restart(&in_flight, 1);
        let first = hand_over(&mut lane, "a");
        assert!(lane.awaits("a") && !lane.awaits("b"));
        in_flight.delivered(first, Ok(()));
        assert!(!lane.awaits("a"));
        hand_over(&mut lane, "a");
        lane.restart(&Arc::default(), 2);
        assert!(!lane.awaits("a"), "it begins again");
    }

    #[test]
    fn blocking_waits_longer_each_time_up_to_a_bound() {
        let mut lane = lane();
        let waits: Vec<_> = (0..9).map(|_| lane.block(Instant::now(), 1, &fmt::Error)).collect();
        assert_eq!(waits[0], BLOCKED_FIRST);
        assert_eq!(waits[8], BLOCKED_MAX);
        lane.settle_at(settled(1, 1));
        assert_eq!(lane.block(Instant::now(), 1, &fmt::Error), BLOCKED_FIRST);
    }
}
