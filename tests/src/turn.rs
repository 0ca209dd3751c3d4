//! Tests that load the machine, or measure it, run one after the other.

use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until no other such test runs. Hold the guard to the end of the test.
pub async fn alone() -> MutexGuard<'static, ()> {
    TURN.lock().await
}
