//! Asking servers in rounds, beside the work: what health is judged by.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::HealthLimits;

/// The longest pause between two rounds.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How often the verdict is shown as a metric; `/readyz` judges anew whenever it is asked.
const VERDICT: Duration = Duration::from_secs(1);

/// Asks round by round until dropped, and calls `show` after each round and once a second. Several rounds fit `limits.unready_after`,
/// so that its end is seen in time.
pub async fn ask_in_rounds<R: Future<Output = ()>>(
    limits: HealthLimits,
    mut round: impl FnMut() -> R,
    mut show: impl FnMut(),
) -> ! {
    let mut ticks = tokio::time::interval((limits.unready_after / 3).min(PAUSE_MAX));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut verdicts = tokio::time::interval(VERDICT);
    loop {
        tokio::select! {
            _ = ticks.tick() => round().await,
            _ = verdicts.tick() => {}
        }
        show();
    }
}
