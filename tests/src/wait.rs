//! Waiting for what has no signal: another process, or a server.

use std::time::{Duration, Instant};

/// How long a test waits for something that should come at once.
const LIMIT: Duration = Duration::from_mins(1);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks again until `check` answers; polls because the other side is another process.
///
/// # Panics
/// After 60 s, naming what was awaited.
pub async fn eventually<T, F>(what: &str, check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_within(LIMIT, what, check).await
}

/// As [`eventually`], with another limit.
///
/// # Panics
/// After `limit`, naming what was awaited.
pub async fn eventually_within<T, F>(limit: Duration, what: &str, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
