//! Storing places, and taking and giving lanes.

use std::time::Duration;

use dionysus_core::Cursor;
use dionysus_postgres::lanes::{self, Checkpoint, Claimed};
use dionysus_postgres::{Error as PostgresError, relays};
use tokio::time::Instant;

use super::Pump;
use crate::Error;
use crate::error::Chain;
use crate::lane::{Lane, State};
use crate::membership::{Membership, fair_share};

/// An idle lane's place is stored when this many transactions have passed it, rows or not, or after this long: a new owner then does not look through them
/// again, and retention is not held back.
const IDLE_TRANSACTIONS: u64 = 10_000;
const IDLE_TIME: Duration = Duration::from_mins(10);

impl Pump {
    pub(super) fn checkpoint_is_due(&self) -> bool {
        Instant::now() >= self.next_checkpoint
    }

    /// Stores the acknowledged place of every lane that has come further, in one statement.
    pub(super) async fn checkpoint(&mut self) -> Result<(), Error> {
        self.next_checkpoint = Instant::now() + self.session.options.checkpoint_interval;
        self.settle_lanes();
        let worth: Vec<&Lane> = self.lanes.values().filter(|lane| worth_storing(lane)).collect();
        if worth.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = worth.iter().map(|lane| place(lane)).collect();
        let held: Vec<_> = worth.iter().flat_map(|lane| lane.kept.to_store(&lane.topic)).collect();
        let wanted = places.len();
        let (pool, id) = (&self.session.pool, self.session.id);
        let stored = lanes::checkpoint(pool, id, self.token, &places, &held).await;
        if let Some(stored) = self.judge(stored, wanted).await? {
            for topic in stored {
                if let Some(lane) = self.lanes.get_mut(&topic) {
                    lane.stored = lane.settled.clone();
                    lane.unstored = false;
                    lane.stored_at = Instant::now();
                    lane.kept.stored();
                    lane.show_kept();
                }
            }
            self.session.signals.checkpoints.add(1);
            self.session.observer.checkpointed();
        } else {
            tracing::debug!("places not stored");
        }
        Ok(())
    }

    /// A place that was not stored belongs to somebody else, or to a server that has crashed since: either way our memory is void.
    async fn judge(
        &mut self,
        stored: Result<Vec<String>, PostgresError>,
        wanted: usize,
    ) -> Result<Option<Vec<String>>, Error> {
        match stored {
            Ok(stored) if stored.len() == wanted => Ok(Some(stored)),
            Ok(_) => self.forget("a cursor was not ours to store").await.map(|()| None),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "cursors not stored");
                self.forget("cursors could not be stored").await.map(|()| None)
            }
        }
    }

    pub(super) fn settle_lanes(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.settle();
            if lane.deliveries().messages > 0 {
                self.failures = 0;
            }
        }
    }

    /// After a heartbeat: claims a fair share, drains what is above it.
    pub(super) async fn look_around(&mut self) -> Result<(), Error> {
        let Membership::Alive(beat) = *self.session.membership.borrow_and_update() else {
            return Ok(());
        };
        let ours: Vec<_> = self.lanes.keys().cloned().collect();
        for topic in self.session.locks.lost(&ours).await {
            if let Some(lane) = self.lanes.get_mut(&topic) {
                start_draining(lane, self.last_request + 1);
            }
        }
        if self.stopping {
            return Ok(());
        }
        self.session.observer.around(&beat);
        let share = fair_share(&beat);
        let active = self.lanes.values().filter(|lane| lane.state != State::Draining).count();
        if active > share && beat.relays > 1 {
            self.drain(active - share);
        } else if active < share && beat.claimable > 0 && self.session.locks.may_claim().await {
            let wanted = i64::try_from(share - active).unwrap_or(i64::MAX);
            let resting = self.session.locks.resting();
            match lanes::claim(&self.session.pool, self.session.id, wanted, &resting).await {
                Ok(claimed) => self.take_lanes(claimed).await?,
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "lanes not claimed, trying again at the next heartbeat");
                }
            }
        }
        Ok(())
    }

    async fn take_lanes(&mut self, claimed: Vec<Claimed>) -> Result<(), Error> {
        let mut topics: Vec<_> = claimed.iter().map(|lane| lane.topic.clone()).collect();
        let refused = self.session.locks.refused(&topics).await;
        topics.retain(|topic| !refused.contains(topic));
        for claimed in claimed {
            let mut lane = Lane::new(claimed, &self.in_flight, self.last_request + 1);
            if refused.contains(&lane.topic) {
                // It has nothing to wait for, and is given up with the next turn.
                start_draining(&mut lane, self.last_request + 1);
                self.lanes.insert(lane.topic.clone(), lane);
                continue;
            }
            tracing::info!(topic = lane.topic, epoch = lane.epoch, "lane claimed");
            self.lanes.insert(lane.topic.clone(), lane);
            self.session.signals.claimed.add(1);
        }
        // Before a lane is active its held keys must be known.
        if let Err(error) = self.refresh_keys(&topics).await {
            tracing::warn!(error = %Chain(&error), "keys in quarantine not read");
            return self.forget("keys in quarantine could not be read").await;
        }
        for topic in &topics {
            self.open(topic);
        }
        Ok(())
    }

    /// Stops reading `surplus` lanes, the last by name: relays that look at the same time give up different ones only by luck, and claim
    /// by name from the front.
    fn drain(&mut self, surplus: usize) {
        let mut topics: Vec<_> = self
            .lanes
            .values()
            .filter(|lane| lane.state != State::Draining)
            .map(|lane| lane.topic.clone())
            .collect();
        topics.sort_unstable();
        for topic in topics.iter().rev().take(surplus) {
            if let Some(lane) = self.lanes.get_mut(topic) {
                start_draining(lane, self.last_request + 1);
            }
        }
    }

    /// Stops reading everything; what was handed over is waited for.
    pub(super) fn begin_stopping(&mut self) {
        tracing::info!(in_flight = self.in_flight.outstanding(), "handing over the lanes");
        self.stopping = true;
        (self.work, self.ready) = (None, None);
        for lane in self.lanes.values_mut() {
            start_draining(lane, self.last_request + 1);
        }
    }

    /// Stores the place of lanes that have drained and gives them up, in one statement.
    pub(super) async fn release_drained(&mut self) -> Result<(), Error> {
        let drained: Vec<_> = self
            .lanes
            .values()
            .filter(|lane| {
                lane.state == State::Draining
                    && lane.deliveries().waiting == 0
                    && !self.is_releasing(&lane.topic)
            })
            .map(|lane| lane.topic.clone())
            .collect();
        if drained.is_empty() {
            return Ok(());
        }
        // First: who is told of the free lane finds its lock free.
        self.session.locks.release(&drained).await;
        self.settle_lanes();
        let leaving: Vec<&Lane> =
            drained.iter().filter_map(|topic| self.lanes.get(topic)).collect();
        let places: Vec<_> = leaving.iter().map(|lane| place(lane)).collect();
        let held: Vec<_> =
            leaving.iter().flat_map(|lane| lane.kept.to_store(&lane.topic)).collect();
        let wanted = places.len();
        let (pool, id) = (&self.session.pool, self.session.id);
        let released = lanes::release(pool, id, self.token, &places, &held).await;
        if let Some(released) = self.judge(released, wanted).await? {
            for topic in released {
                tracing::info!(topic, "lane released");
                self.lanes.remove(&topic);
            }
        }
        Ok(())
    }

    /// Gives up the lease, unless something of ours may still be appended: then it runs out by itself.
    pub(super) async fn leave(&mut self) {
        if self.in_doubt {
            tracing::warn!("something was not acknowledged, the lease is left to run out");
            return;
        }
        if let Err(error) = relays::leave(&self.session.pool, self.session.id).await {
            tracing::warn!(error = %Chain(&error), "lease not given up, it runs out by itself");
        }
    }
}

/// What is read or about to be handed over is void; the acknowledged prefix stays.
fn start_draining(lane: &mut Lane, next_request: u64) {
    lane.state = State::Draining;
    lane.reading = false;
    lane.valid_from = next_request;
}

fn place(lane: &Lane) -> Checkpoint<'_> {
    Checkpoint { topic: &lane.topic, epoch: lane.epoch, cursor: &lane.settled }
}

/// Rows were published since, or so many transactions have passed that looking through them again would cost.
fn worth_storing(lane: &Lane) -> bool {
    if lane.settled == lane.stored {
        return lane.kept.has_unstored();
    }
    match (&lane.stored, &lane.settled) {
        (Cursor::At(stored), Cursor::At(settled))
            if !lane.unstored && !lane.kept.has_unstored() =>
        {
            settled.xmax() >= stored.xmax() + IDLE_TRANSACTIONS
                || lane.stored_at.elapsed() >= IDLE_TIME
        }
        _ => true,
    }
}
