//! Handing rows to librdkafka, in order, as fast as its queue takes them.

use std::collections::{HashMap, HashSet};
use std::vec::IntoIter;

use dionysus_core::{Cursor, Snapshot};
use dionysus_kafka::{OutgoingMessage, PublishError};
use dionysus_postgres::window::{OutboxRow, Window};
use tokio::time::Instant;

use super::Pump;
use super::set_aside::Kept;
use crate::Error;
use crate::lane::Lane;
use crate::message::HandOverError;
use crate::observe::window_span;
use crate::reader::{Request, Span};

/// The lease's deadline is looked at every so many rows: a hundred microseconds' worth.
const ROWS_PER_DEADLINE_CHECK: u32 = 64;

/// A chunk of rows on its way.
#[derive(Debug)]
pub(crate) struct Work {
    /// The request that brought it.
    id: u64,
    topics: Vec<String>,
    from: Snapshot,
    to: Snapshot,
    /// The number after which the rows begin.
    after: i64,
    rows: IntoIter<OutboxRow>,
    /// A row that the queue did not take yet.
    held: Option<Held>,
    /// Whether its rows are the last of their window.
    closes: bool,
    opened: bool,
    /// Lanes that stopped at a row of this chunk: their later rows must not overtake it.
    stopped: HashSet<String>,
    /// Ends with the chunk.
    _span: tracing::Span,
}

#[derive(Debug)]
struct Held {
    row: OutboxRow,
    /// It has gone to the primary topic and waits for the twin only.
    half: bool,
}

/// What became of a row.
enum Outcome {
    HandedOver,
    /// Its lane was restarted, dropped or stopped meanwhile.
    Skipped,
    QueueFull(Held),
}

impl Work {
    pub(super) fn new(request: Request, from: Snapshot, window: Window) -> Self {
        let after = match request.span {
            Span::Chunk(_, _, after) => after,
            Span::Fresh(_) | Span::Upto(..) => Cursor::WINDOW_START,
        };
        let span = window_span(&window.rows, request.topics.len());
        Self {
            id: request.id,
            topics: request.topics,
            from,
            to: window.to,
            after,
            rows: window.rows.into_iter(),
            held: None,
            closes: !window.more,
            opened: false,
            stopped: HashSet::new(),
            _span: span,
        }
    }

    fn next(&mut self) -> Option<Held> {
        self.held.take().or_else(|| self.rows.next().map(|row| Held { row, half: false }))
    }

    /// The lanes for which this chunk still counts.
    fn each_lane(&self, lanes: &mut HashMap<String, Lane>, mut act: impl FnMut(&mut Lane)) {
        for topic in &self.topics {
            if let Some(lane) = lanes.get_mut(topic)
                && self.id >= lane.valid_from
                && !self.stopped.contains(topic)
            {
                act(lane);
            }
        }
    }
}

impl Pump {
    /// Hands over until the queue is full, the deadline is near, or nothing is left.
    pub(super) fn hand_over(&mut self) -> Result<(), Error> {
        self.take_ready();
        while let Some(mut work) = self.work.take() {
            if !work.opened {
                work.each_lane(&mut self.lanes, |lane| {
                    lane.open_window(&work.from, &work.to, work.after);
                });
                work.opened = true;
            }
            if !self.hand_over_rows(&mut work)? {
                self.work = Some(work);
                return Ok(());
            }
            if work.closes {
                work.each_lane(&mut self.lanes, Lane::close_window);
            }
            self.take_ready();
            self.ask_for_more();
        }
        Ok(())
    }

    /// True when all rows of the chunk are gone.
    fn hand_over_rows(&mut self, work: &mut Work) -> Result<bool, Error> {
        if self.in_flight.outstanding() == 0 {
            self.last_progress = Instant::now();
        }
        let mut handed = 0;
        let mut checked = 0;
        let all = loop {
            if checked % ROWS_PER_DEADLINE_CHECK == 0 && !self.may_hand_over() {
                break false;
            }
            checked += 1;
            let Some(held) = work.next() else { break true };
            match self.hand_over_row(work, held)? {
                Outcome::HandedOver => handed += 1,
                Outcome::Skipped => {}
                Outcome::QueueFull(held) => {
                    work.held = Some(held);
                    break false;
                }
            }
        };
        if handed > 0 {
            self.session.signals.handed_over.add(handed);
        }
        Ok(all)
    }

    fn hand_over_row(&mut self, work: &mut Work, held: Held) -> Result<Outcome, Error> {
        let topic = held.row.topic()?;
        let Some(lane) = self.lanes.get_mut(topic) else {
            return Ok(Outcome::Skipped);
        };
        if work.id < lane.valid_from || work.stopped.contains(topic) {
            return Ok(Outcome::Skipped);
        }
        let Held { row, mut half } = held;
        let next_request = self.last_request + 1;
        let max = self.session.options.quarantine_max;
        if lane.is_past_doubt() {
            work.stopped.insert(lane.topic.clone());
            lane.pause(Instant::now(), next_request);
            return Ok(Outcome::Skipped);
        }
        if !half && Self::must_keep(lane, &row)? {
            let cause = lane.kept.refusal(row.seq()).cloned();
            let kept = Self::set_aside(lane, &row, cause, max, next_request)?;
            return Ok(Self::kept(work, lane, &kept));
        }
        if !half && lane.awaits(row.key()?) {
            return Ok(Outcome::QueueFull(Held { row, half }));
        }
        let appended_us = row.created_at()?.timestamp_micros();
        let primary = (!half).then_some(lane.topic.as_str());
        let (mut handed, mut refused) = (0, None);
        for topic in [primary, lane.twin.as_deref()].into_iter().flatten() {
            // Up to the last message of a row, the lane has come only to the row before.
            let last = half || lane.twin.is_none();
            let seq = if last { row.seq() } else { lane.handed_seq };
            let ticket =
                lane.in_flight.expect(lane.slots, seq, row.seq(), last.then_some(appended_us));
            let careful = self.careful.as_ref().filter(|_| lane.doubt.is_some());
            let publisher = careful.map_or(&self.publisher, |client| &client.publisher);
            let (limit, mut bytes) = (lane.limit, 0);
            let publish = |message: &OutgoingMessage<'_>| {
                bytes = refuse_above(limit, message)?;
                publisher.publish(message, ticket)
            };
            if let Err(error) = self.renderer.with_message(&row, topic, publish) {
                lane.in_flight.retract(lane.slots);
                refused = Some(error);
                break;
            }
            lane.meters.bytes.increment(bytes);
            half = true;
            handed += 1;
        }
        lane.handed += handed;
        match refused {
            None => {
                lane.handed_seq = row.seq();
                lane.handed_over(row.key()?);
                Ok(Outcome::HandedOver)
            }
            // After a fatal error the next turn makes a new client, and begins again.
            Some(HandOverError::Publish(PublishError::QueueFull | PublishError::Fatal { .. })) => {
                Ok(Outcome::QueueFull(Held { row, half }))
            }
            Some(HandOverError::Row(error)) => Err(error.into()),
            Some(error) => {
                let kept = Self::refused(lane, &row, &error, max, next_request)?;
                Ok(Self::kept(work, lane, &kept))
            }
        }
    }

    fn kept(work: &mut Work, lane: &Lane, kept: &Kept) -> Outcome {
        if matches!(kept, Kept::Stopped) {
            work.stopped.insert(lane.topic.clone());
        }
        Outcome::Skipped
    }
}

/// A broker would refuse the whole batch, and the client could not go on: sizes are looked at before.
fn refuse_above(limit: usize, message: &OutgoingMessage<'_>) -> Result<u64, PublishError> {
    let bytes = message.wire_bytes();
    if bytes <= limit {
        return Ok(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
    Err(PublishError::TooLarge { topic: message.topic.to_owned(), bytes })
}
