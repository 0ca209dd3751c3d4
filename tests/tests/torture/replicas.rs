//! The stock consumer of the torture test, and the comparison of its tables with their source.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use dionysus_e2e::{ConsumerProcess, LogRecord, Process, ReplicaOf, eventually, figure};
use dionysus_testing::TestDatabase;
use sqlx::{PgPool, query_as};

use crate::models::{ATTRIBUTES, MODELS, TABLES, create_replicas, replica, source};

/// The other side: a database of its own, and the process that fills it.
pub(crate) struct Replicas {
    database: TestDatabase,
    consumer: ConsumerProcess,
}

impl Replicas {
    pub(crate) async fn create(brokers: &str, namespace: &str) -> Result<Self> {
        let database = TestDatabase::new().await;
        create_replicas(&database.pool).await?;
        let topics = TABLES.map(|table| format!("{namespace}_{table}"));
        let replicas: Vec<_> = topics
            .iter()
            .zip(MODELS.into_iter().zip(TABLES))
            .map(|(topic, (model, table))| ReplicaOf { topic, model, table, columns: &ATTRIBUTES })
            .collect();
        let consumer = ConsumerProcess::new(&database.url, brokers, namespace, &replicas)?;
        Ok(Self { database, consumer })
    }

    pub(crate) fn start(&self) -> Result<Process> {
        self.consumer.start()
    }

    /// Waits until the consumer has applied the whole of these logs.
    pub(crate) async fn have_applied(&self, logs: &HashMap<String, Vec<LogRecord>>) {
        let mut ends: HashMap<(&str, i32), i64> = HashMap::new();
        for (topic, log) in logs {
            for record in log {
                let end = ends.entry((topic, record.partition)).or_default();
                *end = (*end).max(record.offset + 1);
            }
        }
        eventually("the consumer to have applied the logs", || async {
            let stored: Vec<(String, i32, i64)> =
                query_as("select topic, partition, next_offset from dionysus.consumer_offsets")
                    .fetch_all(&self.database.pool)
                    .await
                    .ok()?;
            let passed = |((topic, partition), end): (&(&str, i32), &i64)| {
                stored.iter().any(|(t, p, next)| t == topic && p == partition && next >= end)
            };
            ends.iter().all(passed).then_some(())
        })
        .await;
    }

    /// Compares row by row.
    pub(crate) async fn ensure_equal(&self, sources: &PgPool) -> Result<()> {
        for table in TABLES {
            let source = source(sources, table).await?;
            let replica = replica(&self.database.pool, table).await?;
            figure(format_args!(
                "{table}: {} rows, {} in the replica",
                source.len(),
                replica.len()
            ));
            for (row, copy) in source.iter().zip(&replica) {
                ensure!(row == copy, "{table}: {row:?} has become {copy:?}");
            }
            ensure!(source.len() == replica.len(), "{table}: rows are missing or left over");
        }
        Ok(())
    }
}
