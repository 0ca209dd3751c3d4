//! Who may publish: leases, epochs and the deadline.
//!
//! # The protocol
//! A relay has one row in `dionysus.relays`, its *lease*, which a heartbeat extends by the TTL five times per TTL. A lane names its owner
//! and an *epoch* that goes up with every new owner.
//!
//! States of a lane as its relay sees it (`lane.rs`):
//!
//! ```text
//!            claim (epoch + 1)        topic is there
//!   (free) ------------------> Opening ------------> Active <----> Blocked   (a cause of this topic)
//!     ^                                                |
//!     |        all handed-over rows acknowledged       |  surplus, or shutdown
//!     +----------------- Draining <--------------------+
//! ```
//!
//! From every state a lost lease or a lost epoch leads out at once: the queue of the Kafka client is purged and the lane forgotten.
//!
//! - *Claiming* ends leases that have run out by the database's clock, then takes lanes without owner. Deleting the expired
//!   row waits for a heartbeat under way, so a lease is either extended or ended, never both.
//! - *The deadline* is ours: the moment before the last successful heartbeat was sent, plus nine tenths of the TTL, on a clock that also runs while the
//!   machine is suspended. The database starts its TTL later than that, so our deadline comes first whatever the delay; the tenth
//!   is for clocks that run at different speeds. Once it has passed, nothing more is handed over and the queue is purged.
//! - *Handing over* needs more of the lease than librdkafka may hold a message. So a queue that nobody purges, because we are frozen
//!   or wait for Postgres, gives up by itself. (With the deadline alone it could go on sending when the successor had begun: found by the model, `tests/model`.)
//! - *Every wait* of the loop ends at the deadline, also one for a Postgres that neither answers nor refuses.
//! - *A checkpoint* carries owner and epoch and changes nothing for anybody else.
//! - *Handing over*: a clean shutdown stops reading, waits for the acknowledgements, stores the place, frees the lanes, deletes the lease and tells the
//!   others, who claim at once. If something stays unacknowledged the lease is left to run out instead.
//!
//! # What may be delayed
//! Anything: heartbeats, claims, acknowledgements, our own process. A relay that can't reach Postgres stops at its deadline.
//!
//! # What may be repeated
//! Rows between the stored place and the last acknowledgement, by the next owner.
//!
//! # What can't happen
//! - Two relays store places of one lane in turns: the epoch of the older one fails.
//! - A stored place passes an unacknowledged row: `in_flight.rs` only counts unbroken prefixes.
//! - A lane stays without owner while a relay lives: each heartbeat returns when the next lease ends, and the claim is made then.
//!
//! # The window that remains
//! In at-least-once mode a request that librdkafka had built before a pause (its output buffer, the socket, the broker) can be
//! appended after the successor's first rows. Replicas are right all the same, because of the version; the raw log then shows
//! a late repetition. If that is the last record of its key, compaction keeps it: a replica that is built later from a compacted topic alone has the older
//! state until the key's next event or genesis run. With a TTL below 10 s the window is wider: librdkafka looks at its time-outs once a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Until when our lanes are ours, on the clock that also runs in suspend. Shared by the heartbeat and the pump.
#[derive(Debug, Default)]
pub struct LeaseClock {
    /// Milliseconds of `CLOCK_BOOTTIME`; 0: no lease.
    deadline_ms: AtomicU64,
}

impl LeaseClock {
    /// Milliseconds since the machine started, suspended time included.
    pub fn now_ms() -> u64 {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
        seconds.saturating_mul(1_000) + nanos / 1_000_000
    }

    /// A heartbeat that was sent at `sent_ms` has succeeded. A tenth of the TTL is left to clocks that differ.
    pub fn extend(&self, sent_ms: u64, ttl: Duration) {
        let ttl = ttl.mul_f64(0.9);
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.deadline_ms.store(sent_ms.saturating_add(ttl_ms), Ordering::Release);
    }

    /// The lease is gone.
    pub fn end(&self) {
        self.deadline_ms.store(0, Ordering::Release);
    }

    /// How long the lease still runs, if it does.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.deadline_ms.load(Ordering::Acquire).saturating_sub(Self::now_ms());
        (left > 0).then(|| Duration::from_millis(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_counts_from_before_the_heartbeat_was_sent() {
        let clock = LeaseClock::default();
        assert_eq!(clock.remaining(), None);
        let sent = LeaseClock::now_ms();
        clock.extend(sent, Duration::from_secs(5));
        assert!(clock.remaining().unwrap() <= Duration::from_millis(4_500));
        clock.extend(sent.saturating_sub(6_000), Duration::from_secs(5));
        assert_eq!(
            clock.remaining(),
            None,
            "a heartbeat that took longer than the lease gives none"
        );
        clock.extend(sent, Duration::from_secs(5));
        clock.end();
        assert_eq!(clock.remaining(), None);
    }
}
