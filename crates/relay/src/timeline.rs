//! Is this still the database that we published from? The signs and what they mean: [`dionysus_postgres::timeline`].
//!
//! Looked at when a relay starts (also beside what Kafka has), at each joining, and as often as a lease lasts. A relay that finds another
//! history hands nothing over and stores nothing, since its places belong to the one before; it ends, unless it was told to start a
//! new timeline by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use dionysus_kafka::{ClientConfig, TopicInfo, last_versions};
use dionysus_postgres::timeline::{self, Memory};
use dionysus_postgres::{Error as PostgresError, topics};
use sqlx::PgPool;
use tokio::sync::Mutex;

use crate::Error;
use crate::error::Chain;

/// What the relay knows of its database's history, over all its sessions.
#[derive(Debug)]
pub(crate) struct Timeline {
    state: Mutex<State>,
    /// Goes on by itself.
    renews: bool,
}

#[derive(Debug, Default)]
struct State {
    memory: Memory,
    /// The first timeline above everything that Kafka has.
    above: i64,
}

impl Timeline {
    pub(crate) fn new(renews: bool) -> Self {
        Self { state: Mutex::default(), renews }
    }

    /// Looks, and remembers.
    pub(crate) async fn look(&self, pool: &PgPool) -> Result<(), PostgresError> {
        let mut state = self.state.lock().await;
        let State { memory, above } = &mut *state;
        match timeline::look(pool, memory).await {
            Err(error) if error.is_restored() && self.renews => {
                renew(pool, *above, &error).await?;
                timeline::look(pool, memory).await
            }
            done => done,
        }
    }

    /// Looks again and again; returns with the sign of another history. A server that can't be asked says nothing about it.
    pub(crate) async fn ends(&self, pool: &PgPool, interval: Duration) -> PostgresError {
        loop {
            tokio::time::sleep(interval).await;
            match self.look(pool).await {
                Err(error) if error.is_restored() => return error,
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Compares what Kafka has with what the database has given.
    pub(crate) async fn compare(
        &self,
        pool: &PgPool,
        kafka: &ClientConfig,
        present: &BTreeMap<String, TopicInfo>,
    ) -> Result<(), Error> {
        let versions = match last_versions(kafka, registered(pool, present).await?).await {
            Ok(versions) => versions,
            Err(error) => {
                tracing::info!(error = %Chain(&error), "topics not read, whether the database lies behind them is not known");
                return Ok(());
            }
        };
        let highest = versions.iter().map(|(_, version)| *version).max();
        let above = highest.map_or(0, timeline::above);
        self.state.lock().await.above = above;
        match timeline::compare(pool, &versions).await {
            Err(error) if error.is_restored() && self.renews => renew(pool, above, &error).await?,
            done => done?,
        }
        Ok(())
    }
}

/// The registered topics that Kafka has, with their partitions.
async fn registered(
    pool: &PgPool,
    present: &BTreeMap<String, TopicInfo>,
) -> Result<BTreeMap<String, u32>, PostgresError> {
    let registered = topics::all(pool).await?.into_iter();
    let known = registered.filter_map(|topic| {
        let partitions = present.get(&topic.name)?.partitions;
        Some((topic.name, partitions))
    });
    Ok(known.collect())
}

async fn renew(pool: &PgPool, above: i64, sign: &PostgresError) -> Result<(), PostgresError> {
    let PostgresError::Restored { timeline, .. } = sign else { return Ok(()) };
    if let Some(begun) = timeline::begin(pool, above, Some(*timeline)).await? {
        tracing::error!(
            error = %Chain(sign),
            timeline = begun.timeline,
            renumbered = begun.renumbered,
            remedy = "start a genesis run of each topic: replicas may hold what the database has lost",
            "a new timeline was started"
        );
    }
    Ok(())
}
