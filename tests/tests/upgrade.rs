//! Rolling upgrades: a program meets a schema that is newer, or older, than itself.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{ConsumerProcess, Process, ReplicaOf, alone, drained, eventually};
use dionysus_embedded::testing;
use dionysus_testing::TestDatabase;
use sqlx::PgPool;

use crate::models::{ATTRIBUTES, Rental, create_tables, replica, topology};

const LIMIT: Duration = Duration::from_mins(1);
const SCHEMA: i32 = 3;

/// As a newer program's `dionysus migrate` would, as far as an older program can see.
async fn migrate(pool: &PgPool, version: i64, description: &str) -> Result<()> {
    sqlx::query("insert into dionysus.migrations (version, description, success, checksum, execution_time) values ($1, $2, true, '', 0)")
        .bind(version)
        .bind(description)
        .execute(pool)
        .await?;
    Ok(())
}

async fn rent(outbox: &Outbox, id: i64) -> Result<()> {
    let mut tx = outbox.begin().await?;
    let rental: Rental = sqlx::query_as(
        "insert into rentals (id, account_id, name, revision) values ($1, 1, 'Villa', 1) returning *",
    )
    .bind(id)
    .fetch_one(&mut *tx)
    .await?;
    tx.created(&rental)?;
    tx.commit().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn running_programs_go_on_with_a_newer_schema_and_stop_at_one_that_breaks_them() -> Result<()>
{
    let _turn = alone().await;
    let (database, copies) = (TestDatabase::new().await, TestDatabase::new().await);
    create_tables(&database.pool).await?;
    crate::models::create_replicas(&copies.pool).await?;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
    let topic = format!("{namespace}_rentals");
    let logs = [tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?];
    let variables = [("DATABASE_URL", &*database.url), ("KAFKA_BROKERS", &*brokers)];
    let mut relay = Process::start_logging("outbox-relay", &[], &variables, logs[0].path())?;
    let of = ReplicaOf { topic: &topic, model: "Rental", table: "rentals", columns: &ATTRIBUTES };
    let consumer = ConsumerProcess::new(&copies.url, &brokers, &namespace, &[of])?;
    let mut applying = consumer.start_logging(logs[1].path())?;

    for pool in [&database.pool, &copies.pool] {
        migrate(pool, 9_998, "more columns").await?;
    }
    rent(&outbox, 1).await?;
    eventually("the copy of a rental", || async {
        replica(&copies.pool, "rentals").await.ok().filter(|rows| rows.len() == 1)
    })
    .await;

    for pool in [&database.pool, &copies.pool] {
        migrate(pool, 9_999, "breaking another cursor").await?;
    }
    for (name, process, log) in
        [("relay", &mut relay, &logs[0]), ("consumer", &mut applying, &logs[1])]
    {
        let code = process.ended(LIMIT).await.with_context(|| format!("the {name}"))?;
        let said = std::fs::read_to_string(log.path())?;
        ensure!(code == SCHEMA, "the {name} ended with {code}:\n{said}");
        for part in ["is at version 9999", "remedy: upgrade this program"] {
            ensure!(said.contains(part), "the {name} has no word of `{part}`:\n{said}");
        }
    }
    // It handed its lanes over before it went: the next owner need not wait for the lease.
    let leases: i64 = sqlx::query_scalar("select count(*) from dionysus.relays")
        .fetch_one(&database.pool)
        .await?;
    ensure!(leases == 0, "{leases} leases are left");
    drained(&database.pool, LIMIT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_starts_on_a_schema_that_is_older_than_itself() -> Result<()> {
    let database = TestDatabase::new().await;
    sqlx::raw_sql("delete from dionysus.migrations where version = (select max(version) from dionysus.migrations)")
        .execute(&database.pool)
        .await?;
    let brokers = testing::brokers().await;
    let variables = [("DATABASE_URL", &*database.url), ("KAFKA_BROKERS", &*brokers)];
    let of = ReplicaOf { topic: "v3_rentals", model: "Rental", table: "rentals", columns: &[] };
    let consumer = ConsumerProcess::new(&database.url, &brokers, "upgrade", &[of])?;
    let ended = [
        Process::run("outbox-relay", &[], &variables, LIMIT).await?,
        Process::run("outbox-consumer", &["--config", consumer.config()?], &variables, LIMIT)
            .await?,
        Process::run("dionysus", &["status"], &variables, LIMIT).await?,
    ];
    for finished in ended {
        ensure!(finished.code == SCHEMA, "{finished:?}");
        ensure!(finished.stderr.contains("run `dionysus migrate`"), "{}", finished.stderr);
    }
    Ok(())
}
