//! Ending librdkafka clients without holding up whoever drops them.
//!
//! Destroying a client joins its threads and may wait for a broker that does not answer: nothing for an async worker.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often the disposing thread looks whether it is the last owner; others let go within a request's time-out.
const INTERVAL: Duration = Duration::from_millis(1);

/// Destroys `value` on a thread of its own as soon as nobody else holds it, then calls `then`.
pub(crate) fn when_last<T: Send + Sync + 'static>(
    value: Arc<T>,
    then: impl FnOnce() + Send + 'static,
) {
    let spawned = thread::Builder::new().name("dionysus-dispose".into()).spawn(move || {
        while Arc::strong_count(&value) > 1 {
            thread::sleep(INTERVAL);
        }
        drop(value);
        then();
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "kafka client is destroyed by its last owner");
    }
}
