//! The heartbeat: keeps the lease alive and looks around. The protocol is in `lease.rs`.

use std::sync::Arc;
use std::time::Duration;

use dionysus_postgres::relays::{self, Heartbeat};
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::LeaseClock;
use crate::error::Chain;

/// Another relay's lease is looked at this long after it has run out by our reckoning: the two clocks differ by a round trip.
const EXPIRY_SLACK: Duration = Duration::from_millis(30);

/// What the pump knows of the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Membership {
    /// Joined; nothing heard yet.
    Joined,
    /// The last heartbeat's answer.
    Alive(Heartbeat),
    /// The lease ran out.
    Lost,
}

#[derive(Debug)]
pub(crate) struct Heart {
    pub(crate) pool: PgPool,
    pub(crate) id: Uuid,
    pub(crate) ttl: Duration,
    pub(crate) interval: Duration,
    pub(crate) clock: Arc<LeaseClock>,
    pub(crate) nudge: Arc<Notify>,
    pub(crate) membership: watch::Sender<Membership>,
}

impl Heart {
    /// Beats until the lease is lost or the pump is gone.
    pub(crate) async fn run(self) {
        loop {
            let Some(pause) = self.beat().await else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.nudge.notified() => {}
                () = self.membership.closed() => return,
            }
        }
    }

    /// One heartbeat; returns the pause until the next.
    async fn beat(&self) -> Option<Duration> {
        let sent = LeaseClock::now_ms();
        // A beat that takes longer than the interval is as good as lost: the next one is due.
        let answer =
            tokio::time::timeout(self.interval, relays::heartbeat(&self.pool, self.id, self.ttl))
                .await;
        match answer {
            Ok(Ok(beat)) if beat.alive => {
                self.clock.extend(sent, self.ttl);
                self.membership.send_replace(Membership::Alive(beat));
                Some(self.pause_after(beat))
            }
            Ok(Ok(_)) => {
                self.clock.end();
                self.membership.send_replace(Membership::Lost);
                None
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "heartbeat failed");
                self.after_failure()
            }
            Err(_) => {
                tracing::warn!("heartbeat timed out");
                self.after_failure()
            }
        }
    }

    /// The regular pause, or up to the moment when another relay's lease runs out.
    fn pause_after(&self, beat: Heartbeat) -> Duration {
        beat.next_expiry_ms
            .and_then(|ms| u64::try_from(ms).ok())
            .map(|ms| Duration::from_millis(ms) + EXPIRY_SLACK)
            .map_or(self.interval, |expiry| expiry.min(self.interval))
    }

    fn after_failure(&self) -> Option<Duration> {
        if self.clock.remaining().is_none() {
            self.membership.send_replace(Membership::Lost);
            return None;
        }
        Some(self.interval / 4)
    }
}

/// How many lanes a relay may own: an equal share, rounded up so that no lane is left over.
pub(crate) fn fair_share(beat: &Heartbeat) -> usize {
    let (lanes, relays) = (beat.lanes.max(0), beat.relays.max(1));
    usize::try_from((lanes + relays - 1) / relays).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_lanes() {
        for (lanes, relays, share) in [(0, 1, 0), (1, 2, 1), (3, 2, 2), (200, 3, 67), (5, 0, 5)] {
            let beat = Heartbeat { lanes, relays, ..Heartbeat::default() };
            assert_eq!(fair_share(&beat), share);
        }
    }
}
