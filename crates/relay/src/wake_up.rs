//! Hearing of new rows and of changed lanes. Only a hint: polling and heartbeats find everything without it.

use std::sync::Arc;
use std::time::Duration;

use dionysus_postgres::{lanes, outbox};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use crate::error::Chain;

/// The wait before listening is tried again; rows are found by polling meanwhile.
const RECONNECT: Duration = Duration::from_secs(1);

/// Who is told what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bells {
    /// Rows were committed.
    pub(crate) rows: Arc<Notify>,
    /// Lanes were opened or given up.
    pub(crate) lanes: Arc<Notify>,
}

/// Listens until dropped.
pub(crate) async fn listen(pool: PgPool, bells: Bells) {
    loop {
        if let Err(error) = listen_once(&pool, &bells).await {
            tracing::debug!(error = %Chain(&error), "listening stopped, polling goes on");
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn listen_once(pool: &PgPool, bells: &Bells) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([outbox::WAKE_UP_CHANNEL, lanes::LANES_CHANNEL]).await?;
    loop {
        // What was told before we listened is not told again.
        bells.rows.notify_one();
        bells.lanes.notify_one();
        while let Some(heard) = listener.try_recv().await? {
            if heard.channel() == outbox::WAKE_UP_CHANNEL {
                bells.rows.notify_one();
            } else {
                bells.lanes.notify_one();
            }
        }
    }
}
