//! What was handed to librdkafka and not yet acknowledged, and so how far a lane has really come.
//!
//! Rows are handed over in order; acknowledgements come from many partitions, in any order. A lane's place is the
//! longest unbroken prefix: everything before it is in Kafka. One slot a message, found by the ticket that travels with the
//! message, so an acknowledgement costs no search and no allocation. A row that goes to a twin topic as well has two slots; the
//! first of them carries the number of the row before, so that the row counts only when both are acknowledged.
//!
//! Bound: librdkafka's queue, which refuses before this grows.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dionysus_kafka::{DeliveryError, DeliverySink};
use tokio::sync::Notify;

/// The lower bits of a ticket count the messages of a lane, the upper ones name the lane: 2^40 messages and 2^23 openings of lanes a client.
const MESSAGE_BITS: u32 = 40;
const MESSAGE_MASK: usize = (1 << MESSAGE_BITS) - 1;

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
    /// What librdkafka or the broker said.
    pub(crate) error: DeliveryError,
}

#[derive(Debug, Default)]
struct Slots {
    /// How many messages have been popped: the ticket of the front slot.
    settled: u64,
    /// The row number that the last popped one stands for.
    settled_seq: i64,
    waiting: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    seq: i64,
    acknowledged: bool,
}

/// How far a lane's prefix has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Settled {
    /// Messages of the prefix, counted since the lane was opened.
    pub(crate) messages: u64,
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

    /// Makes a slot for a message that is about to be handed over, and its ticket. Once it is acknowledged the lane has come to row `seq`.
    pub(crate) fn expect(&self, lane: usize, seq: i64) -> usize {
        let mut deliveries = self.lock();
        let slots = &mut deliveries.lanes[lane];
        let message = usize::try_from(slots.settled).unwrap_or(0) + slots.waiting.len();
        slots.waiting.push_back(Slot { seq, acknowledged: false });
        deliveries.outstanding += 1;
        (lane << MESSAGE_BITS) | (message & MESSAGE_MASK)
    }

    /// Messages that wait for their acknowledgement.
    pub(crate) fn outstanding(&self) -> usize {
        self.lock().outstanding
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
        Settled { messages: slots.settled, seq: slots.settled_seq, waiting: slots.waiting.len() }
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
                deliveries.failure.get_or_insert(Failure { lane, error });
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
        let before = self.settled;
        while self.waiting.front().is_some_and(|slot| slot.acknowledged) {
            if let Some(slot) = self.waiting.pop_front() {
                self.settled += 1;
                self.settled_seq = slot.seq;
            }
        }
        self.settled > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_as_far_as_its_unbroken_prefix() {
        let sink = InFlight::default();
        let (a, b) = (sink.open(), sink.open());
        let tickets: Vec<usize> = (1..=3).map(|seq| sink.expect(a, seq * 10)).collect();
        let other = sink.expect(b, 15);
        sink.delivered(tickets[2], Ok(()));
        assert_eq!(sink.settled(a), Settled { messages: 0, seq: 0, waiting: 3 });
        sink.delivered(tickets[0], Ok(()));
        assert_eq!(sink.settled(a), Settled { messages: 1, seq: 10, waiting: 2 });
        sink.delivered(tickets[1], Ok(()));
        assert_eq!(sink.settled(a), Settled { messages: 3, seq: 30, waiting: 0 });
        assert_eq!(sink.settled(b).messages, 0);
        sink.delivered(other, Ok(()));
        assert_eq!(sink.settled(b), Settled { messages: 1, seq: 15, waiting: 0 });
    }

    #[test]
    fn a_message_that_was_not_handed_over_leaves_no_slot() {
        let sink = InFlight::default();
        let lane = sink.open();
        sink.expect(lane, 10);
        sink.retract(lane);
        let ticket = sink.expect(lane, 11);
        sink.delivered(ticket, Ok(()));
        assert_eq!(sink.settled(lane), Settled { messages: 1, seq: 11, waiting: 0 });
    }
}
