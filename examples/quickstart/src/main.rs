//! A rental agency keeps its rentals; a search service keeps a copy of them. Watch changes travel from the agency's transactions through
//! outbox, relay and Kafka into the copy: `cargo run -p quickstart`. It starts its own servers, or uses `DATABASE_URL` and
//! `KAFKA_BROKERS`. Exit code 0: every step was seen to work; 1: the step that did not is named.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use dionysus::consumer::{ClientConfig, Consumer};
use dionysus::{Outbox, Publishable, Relay, RelayOptions, Replica, Topology};
use dionysus_embedded::{Sandbox, testing::topic};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

/// What the agency publishes: the fields are the attributes on the wire.
#[derive(Debug, sqlx::FromRow, Publishable)]
#[publishable(table = "rentals", partition_key = "account_id")]
struct Rental {
    id: i64,
    account_id: i64,
    name: String,
    nightly_rate: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What the search service keeps of it.
#[derive(Debug, PartialEq, sqlx::FromRow, Replica)]
#[replica(model = "Rental", table = "rental_copies")]
struct RentalCopy {
    synced_id: i64,
    account_id: i64,
    name: String,
    nightly_rate: i64,
}

const AGENCY: &str = "create table rentals (
    id bigserial primary key, account_id bigint not null, name text not null, nightly_rate bigint not null,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now())";
const SEARCH: &str = "create table rental_copies (
    synced_id bigint primary key, account_id bigint, name text, nightly_rate bigint)";
const LOG: &str = "select seq, key, convert_from(payload, 'UTF8') from dionysus.outbox order by 1";
const SOURCE: &str = "select id as synced_id, * from rentals order by id";
const COPY: &str = "select * from rental_copies order by synced_id";
const LIMIT: Duration = Duration::from_secs(30);
const UPDATE: &str =
    "update rentals set nightly_rate = $2, updated_at = now() where id = $1 returning *";
const DELETE: &str = "delete from rentals where id = $1 and nightly_rate = $2 returning *";

#[tokio::main]
async fn main() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    println!("1. servers      {}", sandbox.description());
    let (agency, search) = (sandbox.database().await?, sandbox.database().await?);
    sqlx::query(AGENCY).execute(&agency.pool).await?;
    sqlx::query(SEARCH).execute(&search.pool).await?;
    for service in [&agency.pool, &search.pool] {
        dionysus::schema::migrate(service).await?;
    }
    println!("2. tables       rentals at the agency, rental_copies at the search service");

    // A new name each run, since your Kafka may remember the last one.
    let name = topic("rentals");
    let topology = Topology::builder()
        .namespace("v1", |ns| ns.topic(&name, |topic| topic.publish::<Rental>()))
        .build()?;
    let outbox = Outbox::connect(agency.pool.clone(), topology).await?;
    println!("3. topology     Rental is published on v1_{name}");

    // The two binaries `outbox-relay` and `outbox-consumer`, here inside this process.
    let stop = CancellationToken::new();
    let relay = Relay::new(agency.url.parse()?, sandbox.brokers(), RelayOptions::default())?;
    let relay = tokio::spawn(relay.run(stop.clone()));
    let consumer = Consumer::builder(search.pool.clone(), ClientConfig::new(sandbox.brokers()))
        .group(format!("search_{name}"))
        .topic(format!("v1_{name}"), [RentalCopy::mapping()])
        .build()?;
    let consumer = tokio::spawn(consumer.run(stop.clone()));
    println!("4. processes    relay and consumer run");

    let villa = add(&outbox, "Villa Saganaki", 120).await?;
    let cabin = add(&outbox, "Cabin in the Woods", 80).await?;
    let tent = add(&outbox, "Tent", 15).await?;
    println!("5. created      {}, {}, {}", villa.name, cabin.name, tent.name);

    let mut tx = outbox.begin().await?;
    for rate in [130, 140, 150] {
        let villa = one(&mut tx, UPDATE, villa.id, rate).await?;
        tx.updated(&villa)?;
    }
    tx.commit().await?;
    println!("6. updated      {} three times in one transaction: one message", villa.name);

    let mut tx = outbox.begin().await?;
    let tent = one(&mut tx, DELETE, tent.id, 15).await?;
    tx.destroyed(&tent)?;
    tx.commit().await?;
    println!("7. destroyed    {}", tent.name);

    let mut tx = outbox.begin().await?;
    let cabin = one(&mut tx, UPDATE, cabin.id, 0).await?;
    tx.updated(&cabin)?;
    tx.rollback().await?;
    println!("8. rolled back  {} for free: neither the change nor a message", cabin.name);

    let log: Vec<(i64, String, String)> = sqlx::query_as(LOG).fetch_all(&agency.pool).await?;
    for (version, key, message) in log {
        println!("   in the log   {version} {key} {message}");
    }
    let (copies, after) = equal(&agency.pool, &search.pool).await?;
    println!("9. compared     after {after:?} the copy equals the source, row by row:");
    for copy in copies {
        println!("                {copy:?}");
    }
    stop.cancel();
    relay.await??;
    let report = consumer.await??;
    println!("10. stopped     both ended cleanly; {} changes applied", report.applied);
    sandbox.stop().await;
    Ok(())
}

async fn add(outbox: &Outbox, name: &str, rate: i64) -> Result<Rental> {
    let mut tx = outbox.begin().await?;
    let sql = "insert into rentals (account_id, name, nightly_rate) values (7, $1, $2) returning *";
    let rental: Rental = sqlx::query_as(sql).bind(name).bind(rate).fetch_one(&mut *tx).await?;
    tx.created(&rental)?;
    tx.commit().await?;
    Ok(rental)
}

async fn one(conn: &mut PgConnection, sql: &'static str, id: i64, rate: i64) -> Result<Rental> {
    Ok(sqlx::query_as(sql).bind(id).bind(rate).fetch_one(conn).await?)
}

/// Waits until the copy equals the source.
async fn equal(agency: &PgPool, search: &PgPool) -> Result<(Vec<RentalCopy>, Duration)> {
    let started = Instant::now();
    loop {
        let source: Vec<RentalCopy> = sqlx::query_as(SOURCE).fetch_all(agency).await?;
        let copy = sqlx::query_as(COPY).fetch_all(search).await?;
        if source == copy {
            return Ok((copy, started.elapsed()));
        }
        ensure!(started.elapsed() < LIMIT, "step 9: copy {copy:?} differs from {source:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
