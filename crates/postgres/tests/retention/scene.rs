//! A database with leaves of past days.

use std::time::{Duration, Instant};

use dionysus_embedded::testing::Database;
use sqlx::{AssertSqlSafe, PgPool};

use crate::support;

pub(super) const KEEP: Duration = Duration::from_hours(72);

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Scene {
    pub(super) pool: PgPool,
    pub(super) database: Database,
}

/// A day so many days ago, with its partition.
pub(super) struct Leaf {
    pub(super) name: String,
    pub(super) days_ago: i32,
}

impl Scene {
    /// With these lanes, none of which has passed anything.
    pub(super) async fn new(topics: &[&str]) -> Self {
        let database = support::database().await;
        if !topics.is_empty() {
            support::register(&database, topics).await;
        }
        Self { pool: database.pool.clone(), database }
    }

    /// Makes the partition of a past day.
    pub(super) async fn leaf(&self, days_ago: i32) -> Leaf {
        let name = format!("dionysus.outbox_ago{days_ago}");
        let day = |ago: i32| format!("(now() at time zone 'UTC')::date - {ago}");
        let sql = format!(
            "do $$ begin
                 create table {name} (like dionysus.outbox including all);
                 execute format('alter table dionysus.outbox attach partition {name} for values from (%L) to (%L)',
                                ({})::text || ' 00:00:00+00', ({})::text || ' 00:00:00+00');
             end $$",
            day(days_ago),
            day(days_ago - 1)
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
        Leaf { name, days_ago }
    }

    /// A row in the leaf; its number.
    pub(super) async fn insert(&self, topic: &str, leaf: &Leaf) -> i64 {
        self.insert_at(topic, leaf.days_ago).await
    }

    /// A row of noon so many days ago.
    pub(super) async fn insert_at(&self, topic: &str, days_ago: i32) -> i64 {
        sqlx::query_scalar(
            "insert into dionysus.outbox (created_at, event_id, topic, key, event, model, model_id, payload)
             values (((now() at time zone 'UTC')::date - $2)::timestamp at time zone 'UTC' + interval '12 h',
                     gen_random_uuid(), $1, 'Rental:1', 'rental_updated', 'Rental', '1', '{}')
             returning seq",
        )
        .bind(topic)
        .bind(days_ago)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// The lane has published everything up to now. Waits for other tests' transactions: what is open is open in the whole cluster.
    pub(super) async fn pass(&self, topic: &str) {
        let started = Instant::now();
        loop {
            let passed = sqlx::query(
                "update dionysus.lanes set cursor = pg_current_snapshot()
                 where topic = $1 and pg_snapshot_xmin(pg_current_snapshot()) > all (select xid from dionysus.outbox)",
            )
            .bind(topic)
            .execute(&self.pool)
            .await
            .unwrap();
            if passed.rows_affected() == 1 {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "a transaction stays open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(super) async fn exists(pool: &PgPool, table: &str) -> bool {
    sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(table)
        .fetch_one(pool)
        .await
        .unwrap()
}

pub(super) async fn counted(pool: &PgPool, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
}
