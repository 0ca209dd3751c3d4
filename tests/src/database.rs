//! What the outbox of one topic holds, and whether it was published.

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus_postgres::lanes;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use tokio::time::{Instant, sleep};

use crate::Committed;

/// The pause between two looks at the lanes.
const PAUSE: Duration = Duration::from_millis(20);

/// A pool for a test with more parallel parts than the database's own serves.
///
/// # Errors
/// When the server can't be reached.
pub async fn connect(url: &str, connections: u32) -> Result<PgPool> {
    Ok(PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .connect(url)
        .await?)
}

/// The committed events of a topic, by number.
///
/// # Errors
/// When the database can't be read.
pub async fn committed(pool: &PgPool, topic: &str) -> Result<Vec<Committed>> {
    Ok(sqlx::query_as(
        "select seq, event_id, key from dionysus.outbox where topic = $1 order by seq",
    )
    .bind(topic)
    .fetch_all(pool)
    .await?)
}

/// Waits until every lane's stored cursor has passed every committed row.
///
/// # Errors
/// When that takes longer than `limit`, or the lanes can't be read.
pub async fn drained(pool: &PgPool, limit: Duration) -> Result<()> {
    let started = Instant::now();
    loop {
        let lanes = lanes::all(pool).await?;
        if lanes.iter().all(|lane| lane.pending == 0) {
            return Ok(());
        }
        ensure!(started.elapsed() < limit, "rows wait after {limit:?}: {lanes:#?}");
        sleep(PAUSE).await;
    }
}
