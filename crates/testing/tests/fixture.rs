//! An application with one model, and its replica in the same database.

use dionysus_core::{ColumnMapping, ReplicaMapping};
use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, Topology};
use dionysus_testing::TestDatabase;
use sqlx::FromRow;

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
pub(crate) struct Rental {
    pub(crate) id: i64,
    pub(crate) account_id: Option<i64>,
    pub(crate) name: String,
}

const TABLES: &str = "
    create table rentals (id bigserial primary key, account_id bigint, name text not null);
    create table rental_copies (synced_id bigint primary key, name text check (name <> 'forbidden'));";

pub(crate) async fn database() -> TestDatabase {
    TestDatabase::with_sql(TABLES).await
}

pub(crate) fn topology() -> Topology {
    Topology::builder()
        .namespace("v3", |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
        .build()
        .unwrap()
}

pub(crate) async fn application() -> (TestDatabase, Outbox) {
    let database = database().await;
    let outbox = database.outbox(topology()).await;
    (database, outbox)
}

/// Of account 7, so that all rentals share a partition.
pub(crate) async fn create(outbox: &Outbox, name: &str) -> Rental {
    let mut tx = outbox.begin().await.unwrap();
    let sql = "insert into rentals (account_id, name) values (7, $1) returning *";
    let rental: Rental = sqlx::query_as(sql).bind(name).fetch_one(&mut *tx).await.unwrap();
    tx.created(&rental).unwrap();
    tx.commit().await.unwrap();
    rental
}

pub(crate) async fn rename(outbox: &Outbox, id: i64, name: &str) {
    let mut tx = outbox.begin().await.unwrap();
    let sql = "update rentals set name = $2 where id = $1 returning *";
    let rental: Rental = sqlx::query_as(sql).bind(id).bind(name).fetch_one(&mut *tx).await.unwrap();
    tx.updated(&rental).unwrap();
    tx.commit().await.unwrap();
}

pub(crate) async fn destroy(outbox: &Outbox, id: i64) {
    let mut tx = outbox.begin().await.unwrap();
    let sql = "delete from rentals where id = $1 returning *";
    let rental: Rental = sqlx::query_as(sql).bind(id).fetch_one(&mut *tx).await.unwrap();
    tx.destroyed(&rental).unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn mapping() -> ReplicaMapping {
    let name = ColumnMapping { attribute: "name".into(), column: "name".into() };
    ReplicaMapping { columns: vec![name], ..ReplicaMapping::new("Rental", "rental_copies") }
}

/// The names in the replica, by id.
pub(crate) async fn copies(database: &TestDatabase) -> Vec<String> {
    let sql = "select name from rental_copies order by synced_id";
    sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap()
}
