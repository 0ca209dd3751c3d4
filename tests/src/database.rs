//! A database with the schema, and what the outbox of one topic holds.

use std::ops::Deref;
use std::time::Duration;

use anyhow::Result;
use dionysus_embedded::testing::{self, Database};
use dionysus_postgres::{lanes, schema};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::{Committed, eventually_within};

/// A test's own database, with the schema. Dropped with the value.
#[derive(Debug)]
pub struct MigratedDatabase(Database);

impl Deref for MigratedDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

/// A new database with the schema.
///
/// # Errors
/// When the schema can't be made.
pub async fn migrated_database() -> Result<MigratedDatabase> {
    let database = testing::database().await;
    schema::migrate(&database.pool).await?;
    Ok(MigratedDatabase(database))
}

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
/// # Panics
/// After `limit`, or when the lanes can't be read.
pub async fn drained(pool: &PgPool, limit: Duration) {
    eventually_within(limit, "all lanes to have passed all rows", || async {
        let lanes = lanes::all(pool).await.unwrap_or_else(|error| panic!("{error}"));
        lanes.iter().all(|lane| lane.pending == 0).then_some(())
    })
    .await;
}
