//! Telling relays that rows were committed.
//!
//! # Why
//! A relay polls every two seconds; a wake-up makes it look at once. It is a hint and nothing rests on it.
//!
//! # Why not inside the transaction
//! `notify` in a transaction makes Postgres take a lock, for the whole cluster, around its commit: all commits that notify then stand in one
//! queue. So it is sent afterwards, by one task per outbox: at most one notification is in flight and one more is due,
//! however many commits there were in between. No commit waits for it or fails with it.

use std::time::Duration;

use dionysus_postgres::outbox;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// Between two notifications of one outbox: a bound of 200 a second, and a delay that a single commit never sees.
const PAUSE: Duration = Duration::from_millis(5);

/// A notification that takes longer is worth nothing: the relay polls every two seconds.
const LIMIT: Duration = Duration::from_secs(5);

/// Wake-ups of relays in the same process; made by [`Outbox::wake_ups`](crate::Outbox::wake_ups).
///
/// Any number of wake-ups between two looks counts as one.
#[derive(Clone, Debug)]
pub struct WakeUps {
    rings: watch::Receiver<()>,
}

impl WakeUps {
    /// Waits for the next wake-up since the last call, or since this value was made. False once the outbox is gone: then
    /// it never comes again.
    ///
    /// # Cancel safety
    /// Cancel safe: no wake-up is lost.
    pub async fn next(&mut self) -> bool {
        self.rings.changed().await.is_ok()
    }
}

/// The bell of one outbox. Its task ends with it.
#[derive(Debug)]
pub(crate) struct Bell {
    ring: watch::Sender<()>,
    notifier: Option<AbortHandle>,
}

impl Bell {
    /// With a pool, rings are passed on to Postgres.
    pub(crate) fn new(notify: Option<PgPool>) -> Self {
        let ring = watch::Sender::new(());
        let notifier =
            notify.map(|pool| tokio::spawn(pass_on(ring.subscribe(), pool)).abort_handle());
        Self { ring, notifier }
    }

    pub(crate) fn ring(&self) {
        self.ring.send_replace(());
    }

    pub(crate) fn listen(&self) -> WakeUps {
        WakeUps { rings: self.ring.subscribe() }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if let Some(notifier) = &self.notifier {
            notifier.abort();
        }
    }
}

async fn pass_on(mut rings: watch::Receiver<()>, pool: PgPool) {
    while rings.changed().await.is_ok() {
        match timeout(LIMIT, outbox::wake_up(&pool)).await {
            Ok(Ok(())) => tracing::trace!("relays notified"),
            Ok(Err(error)) => tracing::warn!(error = %error, "relays could not be notified"),
            Err(_) => {
                tracing::warn!(
                    limit_ms = LIMIT.as_millis(),
                    "relays could not be notified in time"
                );
            }
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn the_task_ends_with_the_bell_even_amid_a_notification() {
        let pool = PgPoolOptions::new().connect_lazy("postgres://127.0.0.1:1/nowhere").unwrap();
        for amid in [false, true] {
            let bell = Bell::new(Some(pool.clone()));
            let task = bell.notifier.clone().unwrap();
            if amid {
                bell.ring();
            }
            yield_now().await;
            assert!(!task.is_finished());
            drop(bell);
            let ending = async {
                while !task.is_finished() {
                    yield_now().await;
                }
            };
            timeout(Duration::from_secs(2), ending).await.expect("the task ends");
        }
    }
}
