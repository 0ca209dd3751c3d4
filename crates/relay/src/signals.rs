//! What a test can wait for, instead of sleeping.

use std::sync::Arc;

use tokio::sync::watch;

/// How often something has happened. Counting costs one uncontended store where nobody listens.
#[derive(Clone, Debug)]
pub struct Signal(Arc<watch::Sender<u64>>);

impl Default for Signal {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Signal {
    pub(crate) fn add(&self, n: u64) {
        self.0.send_modify(|count| *count += n);
    }

    /// How often so far.
    pub fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits until it has happened at least `n` times. Cancel safe.
    pub async fn reached(&self, n: u64) {
        // The sender lives as long as we do.
        self.0.subscribe().wait_for(|count| *count >= n).await.ok();
    }
}

/// The moments of a relay that tests wait for.
#[derive(Clone, Debug, Default)]
pub struct RelaySignals {
    /// Lanes claimed.
    pub claimed: Signal,
    /// Rows handed to librdkafka.
    pub handed_over: Signal,
    /// Cursors stored.
    pub checkpoints: Signal,
    /// Times the relay forgot its memory and read the stored cursors again.
    pub forgotten: Signal,
    /// Times the Kafka client was rebuilt.
    pub rebuilt: Signal,
}
