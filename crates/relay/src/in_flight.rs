//! What was handed to librdkafka and not yet acknowledged, and so how far a lane has really come.
//!
//! Rows are handed over in order; acknowledgements come from many partitions, in any order. A lane's place is the
//! longest unbroken prefix: everything before it is in Kafka. One slot a message, found by the ticket that travels with the
//! message, so an acknowledgement costs no search and no allocation. A row that goes to a twin topic as well has two slots; the
//! first of them carries the number of the row before, so that the row counts only when both are acknowledged.
//!
//! Bound: librdkafka's queue, which refuses before this grows.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::Utc;
use dionysus_kafka::{DeliveryError, DeliverySink};
use tokio::sync::Notify;

/// The lower bits of a ticket count the messages of a lane, the upper ones name the lane: 2^40 messages and 2^23 openings of lanes a client.
const MESSAGE_BITS: u32 = 40;
const MESSAGE_MASK: usize = (1 << MESSAGE_BITS) - 1;

/// Latencies of a lane that are kept until somebody takes them, and the least time between two that are measured.
const LATENCIES_MAX: usize = 1024;
const LATENCY_EVERY_US: i64 = 1_000;

/// The deliveries of one Kafka client. A rebuilt client gets a new one, so late results of the old reach nobody.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    lanes: Mutex<Deliveries>,
    /// Told when a prefix grew or something failed.
    pub(crate) progress: Notify,
}

#[derive(Debug, Default)]
struct Deliveries {
    lanes: Vec<Slots>,
    /// Messages of all lanes, abandoned ones included, that wait for their acknowledgement.
    outstanding: usize,
    failure: Option<Failure>,
}

/// The first failure of a client: everything after it on that client is in doubt.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The index of the lane.
    pub(crate) lane: usize,
    /// The row of the message.
    pub(crate) seq: i64,
    /// What librdkafka or the broker said.
    pub(crate) error: DeliveryError,
}

#[derive(Debug, Default)]
struct Slots {
    /// How many messages have been popped: the ticket of the front slot.
    settled: u64,
    /// The row number that the last popped one stands for.
    settled_seq: i64,
    /// How many rows have been popped whole.
    rows: u64,
    waiting: VecDeque<Slot>,
    /// Microseconds from a row's append, by the database's clock, to its acknowledgement, by ours.
    latencies_us: Vec<i64>,
    /// When one was measured last.
    measured_us: i64,
}

#[derive(Debug)]
struct Slot {
    /// The row that the lane has come to once this is acknowledged.
    seq: i64,
    /// The row that this is a message of.
    row: i64,
    /// When its row was appended, in microseconds since 1970; `None` if the row has another message behind this one.
    ends_row_of_us: Option<i64>,
    acknowledged: bool,
}

/// How far a lane's prefix has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Settled {
    /// Messages of the prefix, counted since the lane was opened.
    pub(crate) messages: u64,
    /// Rows that lie wholly in it.
    pub(crate) rows: u64,
    /// The number of the last row that lies wholly in it.
    pub(crate) seq: i64,
    /// Messages behind the prefix that were handed over.
    pub(crate) waiting: usize,
}

impl InFlight {
    /// Opens a lane and returns its index.
    pub(crate) fn open(&self) -> usize {
        let mut deliveries = self.lock();
        deliveries.lanes.push(Slots::default());
        deliveries.lanes.len() - 1
    }

    /// Makes a slot for a message that is about to be handed over, and its ticket. Once it is acknowledged the lane has come to row `seq`; the last
    /// message of row `row` says when that was appended.
    pub(crate) fn expect(
        &self,
        lane: usize,
        seq: i64,
        row: i64,
        ends_row_of_us: Option<i64>,
    ) -> usize {
        let mut deliveries = self.lock();
        let slots = &mut deliveries.lanes[lane];
        let message = usize::try_from(slots.settled).unwrap_or(0) + slots.waiting.len();
        slots.waiting.push_back(Slot { seq, row, ends_row_of_us, acknowledged: false });
        deliveries.outstanding += 1;
        (lane << MESSAGE_BITS) | (message & MESSAGE_MASK)
    }

    /// Messages that wait for their acknowledgement.
    pub(crate) fn outstanding(&self) -> usize {
        self.lock().outstanding
    }

    /// Passes a row that is not handed over: it counts as soon as everything before it does.
    pub(crate) fn pass(&self, lane: usize, seq: i64) {
        let mut deliveries = self.lock();
        let slots = &mut deliveries.lanes[lane];
        slots.waiting.push_back(Slot { seq, row: seq, ends_row_of_us: None, acknowledged: true });
        if slots.advance() {
            drop(deliveries);
            self.progress.notify_one();
        }
    }

    /// Takes back the last slot: its message was not handed over.
    pub(crate) fn retract(&self, lane: usize) {
        let mut deliveries = self.lock();
        deliveries.lanes[lane].waiting.pop_back();
        deliveries.outstanding -= 1;
    }

    /// The lane's prefix.
    pub(crate) fn settled(&self, lane: usize) -> Settled {
        let deliveries = self.lock();
        let slots = &deliveries.lanes[lane];
        Settled {
            messages: slots.settled,
            rows: slots.rows,
            seq: slots.settled_seq,
            waiting: slots.waiting.len(),
        }
    }

    /// The latencies that were measured since the last call.
    pub(crate) fn take_latencies(&self, lane: usize) -> Vec<i64> {
        mem::take(&mut self.lock().lanes[lane].latencies_us)
    }

    /// The first failure, once.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.lock().failure.take()
    }

    /// A poisoned lock means that a panic hit between two assignments of plain numbers: the state is whole.
    fn lock(&self) -> MutexGuard<'_, Deliveries> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeliverySink for InFlight {
    fn delivered(&self, ticket: usize, outcome: Result<(), DeliveryError>) {
        let lane = ticket >> MESSAGE_BITS;
        let mut deliveries = self.lock();
        match outcome {
            Ok(()) => {
                let Some(slots) = deliveries.lanes.get_mut(lane) else {
                    return;
                };
                let grew = slots.acknowledge(ticket & MESSAGE_MASK);
                deliveries.outstanding = deliveries.outstanding.saturating_sub(1);
                if !grew {
                    return;
                }
            }
            Err(error) => {
                let slots = deliveries.lanes.get(lane);
                let seq = slots.and_then(|slots| slots.row_of(ticket & MESSAGE_MASK)).unwrap_or(0);
                deliveries.failure.get_or_insert(Failure { lane, seq, error });
            }
        }
        drop(deliveries);
        self.progress.notify_one();
    }
}

impl Slots {
    /// Counts an acknowledgement; true if the prefix grew.
    fn acknowledge(&mut self, message: usize) -> bool {
        let Some(at) = message.checked_sub(usize::try_from(self.settled).unwrap_or(0)) else {
            return false;
        };
        let Some(slot) = self.waiting.get_mut(at) else {
            return false;
        };
        slot.acknowledged = true;
        self.advance()
    }

    /// The row of a message that waits.
    fn row_of(&self, message: usize) -> Option<i64> {
        let at = message.checked_sub(usize::try_from(self.settled).unwrap_or(0))?;
        self.waiting.get(at).map(|slot| slot.row)
    }

    /// Moves the prefix on; true if it grew.
    fn advance(&mut self) -> bool {
        let before = self.settled;
        while self.waiting.front().is_some_and(|slot| slot.acknowledged) {
            if let Some(slot) = self.waiting.pop_front() {
                self.settled += 1;
                self.settled_seq = slot.seq;
                if let Some(appended_us) = slot.ends_row_of_us {
                    self.rows += 1;
                    self.measure(appended_us);
                }
            }
        }
        self.settled > before
    }

    /// Keeps a latency, if the last one is old enough: what is kept grows with time, not with rows.
    fn measure(&mut self, appended_us: i64) {
        let now_us = Utc::now().timestamp_micros();
        let is_due = (now_us - self.measured_us).abs() >= LATENCY_EVERY_US;
        if is_due && self.latencies_us.len() < LATENCIES_MAX {
            self.measured_us = now_us;
            self.latencies_us.push(now_us - appended_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_as_far_as_its_unbroken_prefix() {
        let sink = InFlight::default();
        let (a, b) = (sink.open(), sink.open());
        let tickets: Vec<usize> =
            (1..=3).map(|seq| sink.expect(a, seq * 10, seq * 10, Some(0))).collect();
        let other = sink.expect(b, 15, 15, Some(0));
        sink.delivered(tickets[2], Ok(()));
        assert_eq!(sink.settled(a), Settled { messages: 0, rows: 0, seq: 0, waiting: 3 });
        sink.delivered(tickets[0], Ok(()));
        assert_eq!(sink.settled(a), Settled { messages: 1, rows: 1, seq: 10, waiting: 2 });
        sink.delivered(tickets[1], Ok(()));
        assert_eq!(sink.settled(a), Settled { messages: 3, rows: 3, seq: 30, waiting: 0 });
        assert_eq!(sink.settled(b).messages, 0);
        sink.delivered(other, Ok(()));
        assert_eq!(sink.settled(b), Settled { messages: 1, rows: 1, seq: 15, waiting: 0 });
    }

    #[test]
    fn a_message_that_was_not_handed_over_leaves_no_slot() {
        let sink = InFlight::default();
        let lane = sink.open();
        sink.expect(lane, 10, 10, Some(0));
        sink.retract(lane);
        let ticket = sink.expect(lane, 11, 11, Some(0));
        sink.delivered(ticket, Ok(()));
        assert_eq!(sink.settled(lane), Settled { messages: 1, rows: 1, seq: 11, waiting: 0 });
    }

    #[test]
    fn a_row_that_is_passed_counts_once_everything_before_it_does() {
        let sink = InFlight::default();
        let lane = sink.open();
        sink.pass(lane, 5);
        assert_eq!(sink.settled(lane), Settled { messages: 1, rows: 0, seq: 5, waiting: 0 });
        let ticket = sink.expect(lane, 6, 6, Some(0));
        sink.pass(lane, 7);
        assert_eq!(sink.settled(lane), Settled { messages: 1, rows: 0, seq: 5, waiting: 2 });
        sink.delivered(ticket, Ok(()));
        assert_eq!(sink.settled(lane), Settled { messages: 3, rows: 1, seq: 7, waiting: 0 });
        assert_eq!(sink.outstanding(), 0);
    }

    #[test]
    fn a_failure_names_the_row_of_its_message() {
        let sink = InFlight::default();
        let lane = sink.open();
        sink.expect(lane, 5, 6, None);
        let twin = sink.expect(lane, 6, 6, Some(0));
        sink.delivered(twin, Err(DeliveryError::TimedOut));
        let failure = sink.take_failure().unwrap();
        assert_eq!((failure.lane, failure.seq), (lane, 6));
    }

    #[test]
    fn a_row_with_a_twin_counts_once_and_latencies_are_taken_once() {
        let sink = InFlight::default();
        let lane = sink.open();
        let appended_us = Utc::now().timestamp_micros() - 5_000_000;
        let first = sink.expect(lane, 9, 9, None);
        let second = sink.expect(lane, 10, 10, Some(appended_us));
        sink.delivered(first, Ok(()));
        assert_eq!(sink.settled(lane), Settled { messages: 1, rows: 0, seq: 9, waiting: 1 });
        assert_eq!(sink.take_latencies(lane), [0; 0]);
        sink.delivered(second, Ok(()));
        assert_eq!(sink.settled(lane), Settled { messages: 2, rows: 1, seq: 10, waiting: 0 });
        let latencies = sink.take_latencies(lane);
        assert!(matches!(latencies[..], [5_000_000..60_000_000]), "{latencies:?}");
        assert_eq!(sink.take_latencies(lane), [0; 0]);
    }

    #[test]
    fn what_is_measured_is_bounded_by_time_and_by_number() {
        let mut slots = Slots::default();
        for _ in 0..10_000 {
            slots.measure(0);
        }
        assert!(
            slots.latencies_us.len() < 1_000,
            "{} of 10,000 in a moment",
            slots.latencies_us.len()
        );
        for _ in 0..3_000 {
            slots.measured_us = 0;
            slots.measure(0);
        }
        assert_eq!(slots.latencies_us.len(), LATENCIES_MAX);
    }
}
