//! A fresh database with the schema, and rows for it.

use dionysus_embedded::testing::{self, Database};
use dionysus_postgres::outbox::{self, NewRow};
use dionysus_postgres::schema;
use dionysus_postgres::topics::{self, Registration};
use dionysus_postgres::window::WindowReader;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) async fn database() -> Database {
    let database = testing::database().await;
    schema::migrate(&database.pool).await.unwrap();
    database
}

pub(crate) async fn append(conn: &mut PgConnection, topic: &str, key: &str) {
    append_all(conn, &[(topic, key)]).await;
}

pub(crate) async fn append_all(conn: &mut PgConnection, rows: &[(&str, &str)]) {
    let rows: Vec<_> = rows
        .iter()
        .map(|(topic, key)| NewRow {
            event_id: Uuid::now_v7(),
            topic,
            key,
            partition_key: None,
            event: "rental_updated",
            model: "Rental",
            model_id: key.split(':').nth(1).unwrap(),
            payload: Some(b"{}"),
            headers: None,
        })
        .collect();
    assert_eq!(outbox::append(conn, &rows).await.unwrap(), rows.len() as u64);
}

pub(crate) async fn reader(database: &Database) -> WindowReader {
    WindowReader::connect(&database.url.parse().unwrap(), "test").await.unwrap()
}

pub(crate) async fn register(database: &Database, names: &[&str]) {
    let topics: Vec<_> = names
        .iter()
        .map(|name| Registration {
            name: (*name).to_owned(),
            namespace: "v3".to_owned(),
            genesis_replica: false,
            topology: serde_json::json!({}),
        })
        .collect();
    topics::register(&mut database.pool.acquire().await.unwrap(), &topics).await.unwrap();
}

/// Waits until a session of this database waits for a lock.
pub(crate) async fn waits_for_a_lock(database: &Database) {
    loop {
        let waiting: bool = sqlx::query_scalar(
            "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap();
        if waiting {
            return;
        }
        tokio::task::yield_now().await;
    }
}
