//! The second Kafka client: one message in each batch, so that a broker's refusal names its row. It serves lanes whose batch was refused, until they are past what was in
//! doubt, and releases from quarantine. The first client and all other lanes never notice.
//!
//! Of each key one row is on its way at a time. Idempotence alone would not do: a broker takes *any* first batch of a producer that it does not know for a
//! partition, so the second message of a new client can be appended though the first was refused.

use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{Disposition, Publisher, PublisherOptions};
use tokio::time::Instant;

use super::Pump;
use crate::Error;
use crate::error::Chain;
use crate::in_flight::{Failure, InFlight};
use crate::lane::{Lane, State};

/// How often a lane that leaves the careful client looks whether everything there is acknowledged.
const LEAVING: Duration = Duration::from_millis(10);

/// The careful client and what was handed to it.
#[derive(Debug)]
pub(super) struct Careful {
    pub(super) publisher: Arc<Publisher<InFlight>>,
    pub(super) in_flight: Arc<InFlight>,
    /// The last acknowledgement, or the first hand-over after a pause.
    pub(super) last_progress: Instant,
}

impl Pump {
    /// The careful client's deliveries; it is made when it is first needed.
    pub(super) fn careful(&mut self) -> Result<Arc<InFlight>, Error> {
        if let Some(client) = &self.careful {
            return Ok(Arc::clone(&client.in_flight));
        }
        let in_flight = Arc::new(InFlight::default());
        let options = PublisherOptions {
            message_timeout: self.session.options.message_timeout(),
            queue_bytes: self.session.options.queue_bytes,
            batch_bytes: self.batch_bytes,
            batch_messages: 1,
            linger: Duration::ZERO,
            ..PublisherOptions::default()
        };
        let publisher = Publisher::new(&self.session.kafka, &options, Arc::clone(&in_flight))?;
        self.careful = Some(Careful {
            publisher: Arc::new(publisher),
            in_flight: Arc::clone(&in_flight),
            last_progress: Instant::now(),
        });
        Ok(in_flight)
    }

    /// Whether the careful client serves this lane.
    pub(super) fn is_careful(&self, lane: &Lane) -> bool {
        let client = self.careful.as_ref();
        client.is_some_and(|client| Arc::ptr_eq(&client.in_flight, &lane.in_flight))
    }

    /// When the careful client counts as stalled, if anything is in flight there.
    pub(super) fn careful_stalled_at(&self) -> Option<Instant> {
        let client = self.careful.as_ref().filter(|client| client.in_flight.outstanding() > 0)?;
        Some(client.last_progress + self.session.options.stall_timeout())
    }

    /// Looks for failures and stalls of the careful client.
    pub(super) fn watch_careful(&mut self) {
        let stalled = self.careful_stalled_at().is_some_and(|at| Instant::now() >= at);
        let Some(client) = &mut self.careful else { return };
        if client.in_flight.outstanding() == 0 {
            client.last_progress = Instant::now();
        }
        if let Some(failure) = client.in_flight.take_failure() {
            tracing::warn!(seq = failure.seq, error = %Chain(&failure.error), "careful delivery failed");
            self.recover_careful(Some(&failure));
        } else if let Some(error) = client.publisher.fatal_error() {
            tracing::warn!(error = %Chain(&error), "careful kafka client failed");
            self.recover_careful(None);
        } else if stalled {
            tracing::warn!("no acknowledgement for the careful kafka client");
            self.recover_careful(None);
        }
    }

    /// Throws the careful client away. A row that was refused alone is known now, and is set aside when it is read again.
    fn recover_careful(&mut self, failure: Option<&Failure>) {
        self.interrupt_release(failure);
        let Some(old) = self.careful.take() else { return };
        let (now, nowhere) = (Instant::now(), Arc::default());
        let next_request = self.void_requests();
        for lane in self.lanes.values_mut().filter(|lane| lane.doubt.is_some()) {
            lane.settle();
            let failed = failure.filter(|failure| lane.is_seated(&old.in_flight, failure.lane));
            let wait = match failed.map(|failure| (failure, failure.error.disposition())) {
                None => LEAVING,
                Some((failure, Disposition::Isolate)) => {
                    lane.kept.note_refusal(failure.seq, Chain(&failure.error).to_string());
                    LEAVING
                }
                Some((failure, disposition)) => {
                    if disposition == Disposition::StopTopic {
                        lane.doubt = None;
                    }
                    lane.block(now, next_request, &failure.error)
                }
            };
            // What the client did not acknowledge is in doubt as before, and awaited no more.
            lane.restart(&nowhere, next_request);
            lane.pause(now + wait, next_request);
        }
        old.publisher.purge();
        tokio::task::spawn_blocking(move || drop(old));
        if self.stopping {
            // What was handed to it may still be appended: these lanes are not given up, the lease is left to run out.
            let before = self.lanes.len();
            self.lanes.retain(|_, lane| !Arc::ptr_eq(&lane.in_flight, &nowhere));
            self.in_doubt |= self.lanes.len() < before;
        }
    }

    /// Purges the careful client and drops it where it may take its time.
    pub(super) fn discard_careful(&mut self) {
        self.release = None;
        if let Some(old) = self.careful.take() {
            old.publisher.purge();
            tokio::task::spawn_blocking(move || drop(old));
        }
    }

    /// Lanes that have handed over what was in doubt go back to the first client once all of it is acknowledged: those that must wait are asked again
    /// soon.
    pub(super) fn leave_careful(&mut self, now: Instant) {
        for lane in self.lanes.values_mut().filter(|lane| lane.is_past_doubt()) {
            if !matches!(lane.state, State::Blocked { until } if until <= now) {
                continue;
            }
            if lane.deliveries().waiting > 0 {
                lane.state = State::Blocked { until: now + LEAVING };
            } else {
                lane.doubt = None;
            }
        }
    }
}
