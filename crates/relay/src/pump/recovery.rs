//! What is done when something fails: one way back for each of the three memories.
//!
//! - The Kafka client's: a failed message, a fatal error or a stall purges it and builds a new one; every lane starts again behind its acknowledged
//!   prefix. Gapless delivery makes that right: after a failure nothing later of that partition was sent.
//! - Ours of Postgres: a lost connection or a changed token throws away every cursor in memory and reads the stored ones.
//! - The lease: everything is purged and forgotten.

use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::Disposition;
use dionysus_postgres::{incarnation, lanes, quarantine};
use tokio::time::Instant;

use super::{Ending, Pump, client, reader_name};
use crate::Error;
use crate::error::Chain;
use crate::in_flight::Failure;
use crate::lane::{Lane, State};
use crate::observe::Rebuild;
use crate::reader::Reader;

/// The wait before a rebuilt client is used: doubles with each failure up to the second bound.
const RESUME_FIRST: Duration = Duration::from_millis(50);
const RESUME_MAX: Duration = Duration::from_secs(5);

/// The wait between tries to reach Postgres; the lease's deadline ends them.
const RECONNECT: Duration = Duration::from_millis(200);

impl Pump {
    /// A number above every request so far, which no request will have: whoever is valid from there on takes in none of their responses, and no
    /// other opening carries it.
    pub(super) fn void_requests(&mut self) -> u64 {
        self.last_request += 1;
        self.last_request
    }

    /// Looks for failed deliveries and stalls.
    pub(super) fn watch_deliveries(&mut self) -> Result<(), Error> {
        if let Some(failure) = self.in_flight.take_failure() {
            return self.recover(&failure);
        }
        if let Some(error) = self.publisher.fatal_error() {
            tracing::warn!(error = %Chain(&error), "kafka client failed, starting again at the first unacknowledged row");
            self.session.observer.trouble(Chain(&error));
            return self.rebuild(Rebuild::Fatal);
        }
        if self.stalled_at().is_some_and(|at| Instant::now() >= at) {
            tracing::warn!(
                in_flight = self.in_flight.outstanding(),
                "no acknowledgement for too long, starting again at the first unacknowledged row"
            );
            self.session.observer.trouble("no acknowledgement from Kafka for too long");
            return self.rebuild(Rebuild::Stall);
        }
        Ok(())
    }

    /// A cause of one topic stops its lane for longer each time; the others go on at once.
    fn recover(&mut self, failure: &Failure) -> Result<(), Error> {
        let in_flight = Arc::clone(&self.in_flight);
        let lane = self.lanes.values_mut().find(|lane| lane.is_seated(&in_flight, failure.lane));
        let topic = lane.map(|lane| {
            if failure.error.disposition() == Disposition::Isolate {
                // A batch was refused: which of its rows, the careful client finds out.
                lane.doubt = Some(lane.handed);
            }
            lane.topic.clone()
        });
        let code = failure.error.code().map(|code| code.to_string());
        tracing::warn!(topic, error = %Chain(&failure.error), code, "delivery failed, starting again at the first unacknowledged row");
        self.session.observer.trouble(Chain(&failure.error));
        self.rebuild(Rebuild::Delivery)?;
        let next_request = self.void_requests();
        if failure.error.disposition() == Disposition::StopTopic
            && let Some(lane) = topic.and_then(|topic| self.lanes.get_mut(&topic))
        {
            let wait = lane.block(Instant::now(), next_request, &failure.error);
            lane.meters.refused.increment(1);
            tracing::error!(
                topic = lane.topic,
                error = %Chain(&failure.error),
                code,
                remedy = "compare the topic's limits and our rights on it with the row behind the lane's cursor; the lane goes on by itself",
                retry_ms = wait.as_millis(),
                "topic refuses, lane stopped"
            );
        }
        Ok(())
    }

    /// When the client counts as stalled, if anything is in flight.
    pub(super) fn stalled_at(&self) -> Option<Instant> {
        (self.in_flight.outstanding() > 0)
            .then(|| self.last_progress + self.session.options.stall_timeout())
    }

    /// A new client; every lane goes on behind its acknowledged prefix after a pause.
    pub(super) fn rebuild(&mut self, why: Rebuild) -> Result<(), Error> {
        self.discard_client();
        // Its lanes begin again as well: what it still holds of them must not come after.
        if self.lanes.values().any(|lane| self.is_careful(lane)) {
            self.interrupt_release(None);
            self.discard_careful();
        }
        let (publisher, in_flight) = client(&self.session, self.batch_bytes)?;
        let careful = self.lanes.values().any(|lane| lane.doubt.is_some());
        let careful = if careful { Some(self.careful()?) } else { None };
        let wait = (RESUME_FIRST * 2_u32.saturating_pow(self.failures.min(16))).min(RESUME_MAX);
        self.failures = self.failures.saturating_add(1);
        self.in_doubt |= self.stopping;
        let until = Instant::now() + wait;
        let next_request = self.void_requests();
        for lane in self.lanes.values_mut() {
            lane.settle();
            let seat = careful.as_ref().filter(|_| lane.doubt.is_some()).unwrap_or(&in_flight);
            lane.restart(seat, next_request);
            lane.state = State::Blocked { until };
        }
        if self.stopping {
            self.lanes.clear();
        }
        (self.publisher, self.in_flight) = (publisher, in_flight);
        self.last_progress = Instant::now();
        self.session.signals.rebuilt.add(1);
        self.session.observer.rebuilt(why);
        Ok(())
    }

    /// Purges the client and drops it where it may take its time: closing waits for librdkafka's threads.
    fn discard_client(&mut self) {
        (self.work, self.ready) = (None, None);
        self.publisher.purge();
        let old = Arc::clone(&self.publisher);
        tokio::task::spawn_blocking(move || drop(old));
    }

    /// Forgets every cursor in memory and reads the stored ones.
    pub(super) async fn forget(&mut self, reason: &'static str) -> Result<(), Error> {
        tracing::warn!(reason, "reading the stored cursors again");
        self.session.observer.trouble(format_args!("Postgres: {reason}"));
        self.reader = None;
        (self.work, self.ready) = (None, None);
        // Its lanes begin anew with the first client: what it still holds of them must not come after.
        self.discard_careful();
        loop {
            match self.reload().await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "stored cursors not read, trying again");
                }
            }
            if self.session.clock.remaining().is_none() {
                // The loop sees it as well and ends the session.
                return Ok(());
            }
            self.session.observer.turn();
            tokio::time::sleep(RECONNECT).await;
        }
        self.session.signals.forgotten.add(1);
        self.session.observer.reloaded();
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), Error> {
        let token = incarnation::token(&self.session.pool).await?;
        let owned = lanes::owned(&self.session.pool, self.session.id).await?;
        let topics: Vec<_> = owned.iter().map(|lane| lane.topic.clone()).collect();
        let mut keys = quarantine::keys(&self.session.pool, &topics).await?;
        self.reader =
            Some(Reader::start(&self.session.connect, &reader_name(&self.session)).await?);
        self.token = token;
        if self.session.keeps_cursors {
            self.restart_lanes();
            return Ok(());
        }
        self.lanes.retain(|topic, _| owned.iter().any(|lane| lane.topic == *topic));
        for claimed in owned {
            let old = self.lanes.get(&claimed.topic);
            // A lane of the careful client was opened with that one alone.
            let state = old.filter(|lane| lane.doubt.is_none()).map(|lane| lane.state);
            let limit = old.map_or(usize::MAX, |lane| lane.limit);
            let mut lane = Lane::new(claimed, &self.in_flight, self.last_request + 1);
            let topic = lane.topic.clone();
            lane.kept.replace_stored(keys.remove(&topic).unwrap_or_default());
            // An opening under way belongs to the lane that was thrown away.
            let opens = matches!(state, None | Some(State::Opening));
            lane.state = state.unwrap_or(State::Opening);
            lane.limit = limit;
            self.lanes.insert(topic.clone(), lane);
            if opens {
                self.open(&topic);
            }
        }
        Ok(())
    }

    /// What must not be done here: going on at the cursors in memory. See `Relay::keep_cursors_over_reconnects`.
    fn restart_lanes(&mut self) {
        let next_request = self.void_requests();
        for lane in self.lanes.values_mut() {
            lane.settle();
            lane.restart(&self.in_flight, next_request);
        }
    }

    /// Other relays may own our lanes: nothing of ours may be appended from now on.
    pub(super) fn lose_lease(&mut self) -> Ending {
        self.session.clock.end();
        // Both at once: purging waits for librdkafka's threads.
        if let Some(careful) = self.careful.take() {
            tokio::task::spawn_blocking(move || careful.publisher.purge());
        }
        self.discard_client();
        self.lanes.clear();
        Ending::LeaseLost
    }

    /// Stops the lanes of a failed read for a while.
    pub(super) fn block_lanes(&mut self, topics: &[String], cause: &dyn std::error::Error) {
        for topic in topics {
            if let Some(lane) = self.lanes.get_mut(topic)
                && lane.state == State::Active
            {
                lane.block(Instant::now(), self.last_request + 1, cause);
            }
        }
    }

    /// When the first blocked lane may go on.
    pub(super) fn unblocked_at(&self) -> Option<Instant> {
        self.lanes
            .values()
            .filter_map(|lane| match lane.state {
                State::Blocked { until } => Some(until),
                _ => None,
            })
            .min()
    }

    /// Opens blocked lanes again whose time has come: their topics may have changed meanwhile.
    pub(super) fn unblock(&mut self, now: Instant) -> Result<(), Error> {
        self.leave_careful(now);
        let due: Vec<_> = self
            .lanes
            .values()
            .filter(|lane| matches!(lane.state, State::Blocked { until } if until <= now))
            .map(|lane| lane.topic.clone())
            .collect();
        for topic in due {
            let next_request = self.void_requests();
            let careful = self.lanes.get(&topic).is_some_and(|lane| lane.doubt.is_some());
            let seat = if careful { self.careful()? } else { Arc::clone(&self.in_flight) };
            if let Some(lane) = self.lanes.get_mut(&topic) {
                lane.state = State::Opening;
                lane.settle();
                lane.restart(&seat, next_request);
                self.open(&topic);
            }
        }
        Ok(())
    }
}
