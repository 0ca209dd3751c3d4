//! Roots with parts, and those who observe: what is read at commit, under which locks, in how many statements.

mod concurrency;
mod dependants;
mod isolation;
mod roots;
mod statements;

use dionysus_derive::Publishable;
use dionysus_embedded::testing::Database;
use dionysus_producer::{Outbox, OutboxTransaction, Part, Topology, TopologyBuilder};
use serde_json::Value;
use sqlx::FromRow;

use crate::fixture::{execute, migrated};

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "orders", soft_delete = "canceled_at")]
pub(super) struct Order {
    id: i64,
    account_id: i64,
    #[publishable(link = "customer")]
    customer_id: Option<i64>,
    note: String,
    canceled_at: Option<chrono::NaiveDateTime>,
    #[sqlx(skip)]
    #[publishable(part)]
    lines: Part<Vec<Line>>,
}

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "lines")]
pub(super) struct Line {
    id: i64,
    #[publishable(hidden)]
    order_id: Option<i64>,
    text: String,
}

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "customers")]
pub(super) struct Customer {
    id: i64,
    name: Option<String>,
    city: Option<String>,
    region_id: Option<i64>,
}

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "regions")]
pub(super) struct Region {
    id: i64,
    name: String,
}

const TABLES: &str = "
    create table orders (id bigint primary key, account_id bigint not null default 7, customer_id bigint, note text not null default '', canceled_at timestamp);
    create table lines (id bigint primary key, order_id bigint, text text not null default '');
    create index on lines (order_id);
    create table customers (id bigint primary key, name text, city text, region_id bigint);
    create table regions (id bigint primary key, name text not null);";

fn builder() -> TopologyBuilder {
    Topology::builder().namespace("v3", |ns| {
        ns.topic("orders", |t| {
            t.publish::<Order>()
                .with::<Line>()
                .observe::<Customer>(["name"], "customer_id")
                .observe::<Region>(
                    ["name"],
                    dionysus_producer::Path::through("customers", "region_id").then("customer_id"),
                )
        })
    })
}

async fn outbox() -> (Database, Outbox) {
    connect(builder()).await
}

async fn connect(builder: TopologyBuilder) -> (Database, Outbox) {
    let database = migrated().await;
    execute(&database.pool, TABLES).await;
    let outbox = Outbox::connect(database.pool.clone(), builder.build().unwrap()).await.unwrap();
    (database, outbox)
}

async fn order(tx: &mut OutboxTransaction<'_>, sql: &'static str) -> Order {
    sqlx::query_as(sql).fetch_one(&mut **tx).await.unwrap()
}

async fn line(tx: &mut OutboxTransaction<'_>, sql: &'static str) -> Line {
    sqlx::query_as(sql).fetch_one(&mut **tx).await.unwrap()
}

async fn customer(tx: &mut OutboxTransaction<'_>, sql: &'static str) -> Customer {
    sqlx::query_as(sql).fetch_one(&mut **tx).await.unwrap()
}

/// `event key [texts of its lines]` of each row, in order.
async fn published(database: &Database) -> Vec<String> {
    crate::fixture::rows(&database.pool)
        .await
        .iter()
        .map(|row| {
            let value: Value = serde_json::from_str(&row.payload).unwrap();
            let lines = value["message"][0]["data"][0]["lines"].as_array().map(|lines| {
                let texts: Vec<_> =
                    lines.iter().map(|line| line["text"].as_str().unwrap()).collect();
                format!(" [{}]", texts.join(" "))
            });
            format!("{} {}{}", row.event, row.key, lines.unwrap_or_default())
        })
        .collect()
}
