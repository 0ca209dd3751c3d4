//! What the relay shows of itself: metrics, health, traces.
//!
//! The pump tells the [`Observer`] where its lanes stand, ten times a second at most, and asks it nothing. No row is counted here: counts arise where
//! the row is handled anyway (`in_flight.rs`) and are carried over with the next turn. What waits in the outbox is looked up beside the
//! pump (`look.rs`), by a bounded statement, and only if somebody asked for health.
//!
//! Readiness is judged by progress (`health.rs`): a lane whose oldest row has waited for the threshold, and whose place has not
//! moved for as long, makes the relay unready, whatever the cause.

mod health;
mod look;
mod metrics;
mod trace;
mod view;

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use dionysus_postgres::relays::Heartbeat;
use dionysus_service::{HealthLimits, MainLoop};
use tokio::time::Instant;

use crate::in_flight::InFlight;
use crate::lane::Lane;

pub use health::RelayHealth;
pub(crate) use look::look;
pub(crate) use metrics::{LaneMeters, Rebuild};
pub(crate) use trace::window_span;

use metrics::Meters;
use view::View;

/// How often the pump shows its lanes at most.
const SHOW_MS: u64 = 100;

/// One a relay, from its first session to its last.
#[derive(Debug)]
pub(crate) struct Observer {
    meters: Meters,
    view: Mutex<View>,
    /// Set by whoever wants to know: only then the database is asked what waits.
    limits: OnceLock<HealthLimits>,
    main_loop: MainLoop,
    /// When lanes were shown last, on the clock of `main_loop`.
    shown_ms: AtomicU64,
    /// The database's clock minus ours, in microseconds.
    skew_us: AtomicI64,
}

impl Observer {
    pub(crate) fn new() -> Self {
        metrics::describe();
        Self {
            meters: Meters::new(),
            view: Mutex::new(View::new(Instant::now())),
            limits: OnceLock::new(),
            main_loop: MainLoop::begin(),
            shown_ms: AtomicU64::new(0),
            skew_us: AtomicI64::new(0),
        }
    }

    /// The loop has turned; whether it is time to show the lanes.
    pub(crate) fn turn(&self) -> bool {
        let now_ms = self.main_loop.turn();
        now_ms - self.shown_ms.load(Ordering::Relaxed).min(now_ms) >= SHOW_MS
    }

    /// Where the lanes stand, settled just before.
    pub(crate) fn show(&self, lanes: &HashMap<String, Lane>, in_flight: &InFlight, stopping: bool) {
        self.shown_ms.store(self.main_loop.now_ms(), Ordering::Relaxed);
        let now = Instant::now();
        let outstanding = in_flight.outstanding();
        self.meters.in_flight.set(gauge(outstanding));
        let mut view = self.view();
        view.stopping = stopping;
        view.in_flight = outstanding;
        view.forget_lanes_but(lanes);
        for lane in lanes.values() {
            view.show(lane, now);
            self.record_latencies(lane);
        }
    }

    /// A lease was taken, or ended as it should.
    pub(crate) fn leased(&self, leased: bool) {
        self.turn();
        self.meters.leased.set(gauge(usize::from(leased)));
        let mut view = self.view();
        view.leased(leased, Instant::now());
        if !leased {
            view.forget_lanes_but(&HashMap::new());
        }
    }

    /// It ran out.
    pub(crate) fn lease_lost(&self) {
        self.meters.lease_losses.increment(1);
        self.trouble("the lease ran out");
    }

    pub(crate) fn rebuilt(&self, why: Rebuild) {
        self.meters.rebuilt(why);
    }

    /// Memory was thrown away and the stored cursors were read.
    pub(crate) fn reloaded(&self) {
        self.meters.reloads.increment(1);
    }

    pub(crate) fn checkpointed(&self) {
        self.meters.checkpoints.increment(1);
    }

    /// What the heartbeat sees of the others.
    pub(crate) fn around(&self, beat: &Heartbeat) {
        let count = |n: i64| gauge(usize::try_from(n).unwrap_or(0));
        self.meters.relays.set(count(beat.relays));
        self.meters.unowned.set(count(beat.claimable));
    }

    /// What is wrong with the locks beside the leases, until that is over.
    pub(crate) fn locks(&self, trouble: Option<&'static str>) {
        self.view().locks = trouble;
    }

    /// Something that concerns more than one lane; kept until a lane gets on.
    pub(crate) fn trouble(&self, cause: impl Display) {
        self.view().trouble = Some((cause.to_string(), Instant::now()));
    }

    fn record_latencies(&self, lane: &Lane) {
        let skew_us = self.skew_us.load(Ordering::Relaxed);
        for latency_us in lane.in_flight.take_latencies(lane.slots) {
            let latency = latency_us.saturating_add(skew_us);
            let latency = Duration::from_micros(u64::try_from(latency).unwrap_or(0));
            lane.meters.latency.record(latency.as_secs_f64());
        }
    }

    /// A poisoned lock means that a panic hit between two assignments: the view is whole enough to be shown.
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count of ours comes near 2^53")]
fn gauge(n: usize) -> f64 {
    n as f64
}
