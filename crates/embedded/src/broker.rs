//! A Kafka-protocol broker inside this process.

use std::net::SocketAddr;

use noida::lifecycle::Lifecycle;

use crate::error::Error;

/// A broker on a port of 127.0.0.1, ready at once, with its log in memory; it makes topics of one partition when they are
/// first used.
///
/// Good for tries and fast tests, not a measure of anything. It answers a fetch with the whole rest of the log, whatever
/// the size asked for: consumers need `receive.message.max.bytes` at its maximum, 2147483647. Dropping the value closes
/// the port and all connections.
pub struct Broker {
    bootstrap: String,
    life: Lifecycle,
}

impl Broker {
    /// Starts a broker; under a millisecond.
    ///
    /// # Errors
    /// It cannot listen.
    // Not async today; another broker may need to be.
    #[expect(clippy::unused_async, reason = "all servers of this crate are started alike")]
    pub async fn start() -> Result<Self, Error> {
        let life = Lifecycle::default();
        // The plain `spawn` of the crate cannot be stopped. This one would read a log from the folder, if there were one,
        // and write it there when the crate's own shutdown is called, which it never is.
        let nowhere = std::env::temp_dir().join(format!("no-{}", uuid::Uuid::new_v4().simple()));
        let address: SocketAddr = noida::kafka::spawn_persistent("127.0.0.1:0", &nowhere, &life)
            .map_err(|source| Error::Broker { source })?;
        Ok(Self { bootstrap: address.to_string(), life })
    }

    /// `host:port`, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It waits for threads that serve connections, up to some seconds: not on a thread of the runtime.
        let life = self.life.clone();
        drop(std::thread::spawn(move || life.stop()));
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}
