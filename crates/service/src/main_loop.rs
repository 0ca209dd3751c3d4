//! Whether a component's main loop turns: what aliveness is judged by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::{HealthLimits, Verdict, duration};

/// The turns of a main loop. Written by the loop, read by whoever asks for health; an atomic store a turn.
#[derive(Debug)]
pub struct MainLoop {
    began: Instant,
    /// Milliseconds from `began` to the last turn.
    turned_ms: AtomicU64,
}

impl MainLoop {
    /// It begins now, which counts as its first turn.
    pub fn begin() -> Self {
        Self { began: Instant::now(), turned_ms: AtomicU64::new(0) }
    }

    /// It has turned. Returns when, as [`now_ms`](Self::now_ms) does.
    pub fn turn(&self) -> u64 {
        let now_ms = self.now_ms();
        self.turned_ms.store(now_ms, Ordering::Relaxed);
        now_ms
    }

    /// Milliseconds since it began.
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether it has turned within `limits.dead_after`: an answer to [`Health::alive`](crate::Health::alive).
    pub fn alive(&self, limits: &HealthLimits) -> Verdict {
        let turned_ms = self.turned_ms.load(Ordering::Relaxed);
        let turned = Duration::from_millis(self.now_ms().saturating_sub(turned_ms));
        let mut reasons = Vec::new();
        if turned >= limits.dead_after {
            let ago = duration::rounded(turned);
            reasons.push(format!("the main loop has not turned for {ago}"));
        }
        Verdict { reasons, detail: json!({ "turned_s_ago": turned.as_secs_f64() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Duration = Duration::from_secs(2);

    /// Of a loop that began `SILENT` ago.
    fn reasons(turn: bool, dead_after: Duration) -> Vec<String> {
        let began = Instant::now().checked_sub(SILENT).unwrap();
        let main_loop = MainLoop { began, turned_ms: AtomicU64::new(0) };
        if turn {
            main_loop.turn();
        }
        main_loop.alive(&HealthLimits { dead_after, ..HealthLimits::default() }).reasons
    }

    #[test]
    fn a_loop_that_has_not_turned_for_the_threshold_is_dead() {
        assert_eq!(reasons(false, SILENT), ["the main loop has not turned for 2.0s"]);
        assert_eq!(reasons(false, 30 * SILENT), [""; 0]);
        assert_eq!(reasons(true, SILENT), [""; 0]);
    }
}
