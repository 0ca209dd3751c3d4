//! A database with the schema, two models, and an outbox for them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dionysus_derive::Publishable;
use dionysus_embedded::testing::{self, Database};
use dionysus_producer::{Outbox, OutboxOptions, Topology};
use sqlx::{FromRow, PgPool};

/// Whatever is awaited comes within this, or the test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(
    crate = "dionysus_core",
    model = "Rental",
    table = "rentals",
    soft_delete = "canceled_at"
)]
pub(crate) struct Rental {
    pub(crate) id: i64,
    pub(crate) account_id: Option<i64>,
    pub(crate) name: String,
    pub(crate) canceled_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, Publishable)]
#[publishable(crate = "dionysus_core", model = "Core::Document", table = "documents")]
pub(crate) struct Document {
    #[publishable(id)]
    pub(crate) code: String,
    pub(crate) region: String,
    pub(crate) bytes: Vec<u8>,
}

/// Published nowhere.
#[derive(Publishable)]
#[publishable(crate = "dionysus_core", model = "Stranger", table = "strangers")]
pub(crate) struct Stranger {
    pub(crate) id: i64,
}

#[derive(Debug, FromRow, PartialEq)]
pub(crate) struct Row {
    pub(crate) topic: String,
    pub(crate) key: String,
    pub(crate) partition_key: Option<String>,
    pub(crate) event: String,
    pub(crate) model: String,
    pub(crate) model_id: String,
    pub(crate) payload: String,
}

/// Makes a table `inserts` with one row for each statement that inserts into the outbox.
pub(crate) const COUNT_STATEMENTS: &str = "
    create table inserts (rows bigint);
    create function count_insert() returns trigger language plpgsql as
        $$ begin insert into inserts select count(*) from inserted; return null; end $$;
    create trigger count_insert after insert on dionysus.outbox
        referencing new table as inserted for each statement execute function count_insert();";

pub(crate) fn topology() -> Topology {
    Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>())
                .topic("documents", |t| {
                    t.partition_key("region").max_message_bytes(300).publish::<Document>()
                })
        })
        .build()
        .unwrap()
}

pub(crate) fn rental(id: i64, name: &str) -> Rental {
    Rental { id, account_id: Some(7), name: name.to_owned(), canceled_at: None }
}

pub(crate) async fn migrated() -> Database {
    let database = testing::database().await;
    dionysus_postgres::schema::migrate(&database.pool).await.unwrap();
    execute(
        &database.pool,
        "create table rentals (id bigint primary key, account_id bigint, name text not null, canceled_at timestamptz)",
    )
    .await;
    database
}

pub(crate) async fn outbox() -> (Database, Outbox) {
    let database = migrated().await;
    let outbox = connect(&database.pool, OutboxOptions::new()).await;
    (database, outbox)
}

pub(crate) async fn connect(pool: &PgPool, options: OutboxOptions) -> Outbox {
    Outbox::connect_with(pool.clone(), topology(), options).await.unwrap()
}

pub(crate) async fn execute(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

/// The outbox in the order of its numbers.
pub(crate) async fn rows(pool: &PgPool) -> Vec<Row> {
    sqlx::query_as(
        "select topic, key, partition_key, event, model, model_id, convert_from(payload, 'UTF8') as payload
         from dionysus.outbox order by seq",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// `key event` of each row.
pub(crate) async fn events(pool: &PgPool) -> Vec<String> {
    rows(pool).await.iter().map(|row| format!("{} {}", row.key, row.event)).collect()
}

pub(crate) fn payload(event: &str, name: &str) -> String {
    format!(
        r#"{{"message":[{{"event":"{event}","model_name":"Rental","data":[{{"id":1,"account_id":7,"name":"{name}","canceled_at":null,"links":{{}}}}]}}]}}"#
    )
}
