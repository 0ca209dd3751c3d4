//! The relay as it was shown last: what health is judged by.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use dionysus_core::Cursor;
use dionysus_postgres::waiting::{Look, Waiting};
use tokio::time::Instant;

use super::gauge;
use super::metrics::LaneMeters;
use crate::lane::{Lane, State};

#[derive(Debug)]
pub(super) struct View {
    pub(super) lanes: BTreeMap<String, LaneView>,
    /// Whether a lease is held, and since when that is so. `None`: none was ever held.
    pub(super) lease: Option<bool>,
    pub(super) lease_since: Instant,
    pub(super) stopping: bool,
    pub(super) in_flight: usize,
    /// The last answer of Postgres to a look.
    pub(super) looked: Instant,
    /// What went wrong last for more than one lane.
    pub(super) trouble: Option<(String, Instant)>,
    /// What is wrong with the locks beside the leases; no reason to be unready, since lanes flow without them.
    pub(super) locks: Option<&'static str>,
}

#[derive(Debug)]
pub(super) struct LaneView {
    meters: LaneMeters,
    pub(super) epoch: i64,
    pub(super) state: State,
    /// Everything before it is in Kafka.
    pub(super) settled: Cursor,
    /// When that moved last, or the lane was claimed.
    pub(super) moved: Instant,
    /// Rows acknowledged since it was opened with its client.
    acknowledged: u64,
    pub(super) in_flight: usize,
    /// Why it was stopped last.
    pub(super) cause: Option<String>,
    pub(super) waiting: Waiting,
    /// The look did not come to the end, and saw none of its rows: some may wait.
    pub(super) is_unknown: bool,
    looked: Option<Instant>,
}

impl View {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            lanes: BTreeMap::new(),
            lease: None,
            lease_since: now,
            stopping: false,
            in_flight: 0,
            looked: now,
            trouble: None,
            locks: None,
        }
    }

    pub(super) fn leased(&mut self, leased: bool, now: Instant) {
        // Who never had one is not who lost it.
        if self.lease.unwrap_or(false) != leased {
            self.lease = Some(leased);
            self.lease_since = now;
        }
    }

    /// Lanes that are not ours any more.
    pub(super) fn forget_lanes_but(&mut self, lanes: &HashMap<String, Lane>) {
        self.lanes.retain(|topic, view| {
            let stays = lanes.contains_key(topic);
            if !stays {
                view.meters.clear();
            }
            stays
        });
    }

    pub(super) fn show(&mut self, lane: &Lane, now: Instant) {
        let deliveries = lane.deliveries();
        let known = self.lanes.get_mut(&lane.topic).filter(|view| view.epoch == lane.epoch);
        let Some(view) = known else {
            self.lanes.insert(lane.topic.clone(), LaneView::new(lane, now));
            return;
        };
        if view.settled != lane.settled {
            view.settled.clone_from(&lane.settled);
            view.moved = now;
        }
        // A place also moves where there was nothing to publish; only an acknowledgement says that all is well again.
        if deliveries.rows > view.acknowledged {
            self.trouble = None;
        }
        view.acknowledged = deliveries.rows;
        view.in_flight = deliveries.waiting;
        view.set_state(lane.state);
        view.cause.clone_from(&lane.cause);
    }

    /// Places to look behind, with the lanes that stand there; those that were not looked behind for longest first.
    pub(super) fn places(&self) -> Vec<(Cursor, Vec<String>)> {
        let mut places: Vec<(Option<Instant>, Cursor, Vec<String>)> = Vec::new();
        for (topic, lane) in &self.lanes {
            if let Some((looked, _, topics)) =
                places.iter_mut().find(|(_, cursor, _)| *cursor == lane.settled)
            {
                *looked = (*looked).min(lane.looked);
                topics.push(topic.clone());
            } else {
                places.push((lane.looked, lane.settled.clone(), vec![topic.clone()]));
            }
        }
        places.sort_by_key(|(looked, _, _)| *looked);
        places.into_iter().map(|(_, cursor, topics)| (cursor, topics)).collect()
    }

    /// Takes in what was seen behind a place.
    pub(super) fn looked(&mut self, topics: &[String], look: &Look, now: Instant) {
        self.looked = now;
        for topic in topics {
            let Some(lane) = self.lanes.get_mut(topic) else { continue };
            let seen = look.topics.get(topic).copied();
            lane.looked = Some(now);
            lane.waiting = seen.unwrap_or_default();
            lane.is_unknown = look.is_cut && seen.is_none();
            lane.meters
                .pending
                .set(gauge(usize::try_from(lane.waiting.rows).unwrap_or(usize::MAX)));
            lane.meters.oldest.set(lane.waiting.oldest.as_secs_f64());
        }
    }
}

impl LaneView {
    fn new(lane: &Lane, now: Instant) -> Self {
        let deliveries = lane.deliveries();
        let mut view = Self {
            meters: lane.meters.clone(),
            epoch: lane.epoch,
            state: lane.state,
            settled: lane.settled.clone(),
            moved: now,
            acknowledged: deliveries.rows,
            in_flight: deliveries.waiting,
            cause: lane.cause.clone(),
            waiting: Waiting::default(),
            is_unknown: false,
            looked: None,
        };
        view.meters.owned.set(1.0);
        view.meters.epoch.set(gauge(usize::try_from(lane.epoch).unwrap_or(0)));
        view.set_state(lane.state);
        view
    }

    fn set_state(&mut self, state: State) {
        self.state = state;
        let blocked = matches!(state, State::Blocked { .. });
        self.meters.blocked.set(gauge(usize::from(blocked)));
    }

    /// For how long it has stood still though something waits, if it has. The look is not of this moment: what was young then is older by now.
    pub(super) fn stands_still(&self, now: Instant) -> Option<Duration> {
        let looked = self.looked.filter(|at| *at >= self.moved)?;
        let still = now.saturating_duration_since(self.moved);
        if self.waiting.rows > 0 {
            let oldest = self.waiting.oldest + now.saturating_duration_since(looked);
            return Some(still.min(oldest));
        }
        self.is_unknown.then_some(still)
    }
}
