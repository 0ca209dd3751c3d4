//! Waiting for what has no signal: another process, or a server.

use std::time::{Duration, Instant};

/// How long a test waits for something that should come at once.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks again until `check` answers; polls because the other side is another process.
///
/// # Panics
/// After 60 s, naming what was awaited.
pub async fn eventually<T, F>(what: &str, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
