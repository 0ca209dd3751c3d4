//! Bad input: one clear error with a remedy, a documented exit code, nothing lost, no panic, no secret.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::{Outbox, Publishable, Topology};
use dionysus_e2e::{Finished, Process, drained, eventually, read_log};
use dionysus_embedded::testing;
use dionysus_kafka::{Admin, ClientConfig, NewTopic};
use dionysus_testing::TestDatabase;
use sqlx::query_scalar;

use crate::models::{Booking, Rental, create_tables, topology};

const LIMIT: Duration = Duration::from_mins(1);
const PASSWORD: &str = "s3cret-of-the-test";

/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:1";

const USAGE_OR_CONFIGURATION: i32 = 2;
const SCHEMA: i32 = 3;
const UNREACHABLE: i32 = 4;

async fn run(binary: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Finished> {
    // At the finest level even what libraries log is seen.
    let trace = [("DIONYSUS_LOG__FILTER", "trace")];
    let variables: Vec<_> = trace.iter().chain(variables).copied().collect();
    Process::run(binary, arguments, &variables, LIMIT).await
}

/// One error, with a remedy; neither a panic nor one of these secrets in the output.
fn ensure_clear(finished: &Finished, code: i32, says: &[&str], secrets: &[&str]) -> Result<()> {
    let Finished { stdout, stderr, .. } = finished;
    let report = stderr.find("error: ").map_or("", |at| &stderr[at..]);
    ensure!(finished.code == code, "exit code {}, expected {code}:\n{stderr}", finished.code);
    ensure!(report.matches("error: ").count() == 1, "not one error:\n{stderr}");
    ensure!(report.contains("remedy: "), "no remedy:\n{report}");
    for text in says {
        ensure!(report.contains(text), "no word of `{text}`:\n{report}");
    }
    for output in [stdout, stderr] {
        ensure!(!output.contains("panicked"), "a panic:\n{output}");
        for secret in secrets {
            ensure!(!output.contains(secret), "a secret is in the output:\n{output}");
        }
    }
    Ok(())
}

/// The password of a URL.
fn password(url: &str) -> Option<&str> {
    let (authority, _) = url.split_once("://")?.1.split_once('@')?;
    authority.split_once(':').map(|(_, password)| password)
}

#[tokio::test]
async fn a_configuration_with_many_faults_names_them_all() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let text = format!(
        "[database]\nurl = \"mysql://user:{PASSWORD}@host/db\"\n[relay]\nleese_ttl = \"2s\"\npoll_interval = \"soon\"\nchunk_rows = 0\n"
    );
    std::fs::write(file.path(), text)?;
    let path = file.path().to_str().context("no text")?;
    let finished = run("outbox-relay", &["--config", path], &[]).await?;
    let says =
        ["database.url", "kafka.brokers", "lease_ttl", "relay.poll_interval", "relay.chunk_rows"];
    ensure_clear(&finished, USAGE_OR_CONFIGURATION, &says, &[PASSWORD])
}

#[tokio::test]
async fn a_file_that_is_no_toml_is_refused_without_quoting_it() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), format!("[database]\nurl = \"postgres://u:{PASSWORD}@h/d\n"))?;
    let path = file.path().to_str().context("no text")?;
    for binary in ["outbox-relay", "outbox-consumer"] {
        let finished = run(binary, &["--config", path], &[]).await?;
        ensure_clear(&finished, USAGE_OR_CONFIGURATION, &[path], &[PASSWORD])?;
    }
    Ok(())
}

#[tokio::test]
async fn postgres_that_cannot_be_reached_is_named_without_its_password() -> Result<()> {
    let url = format!("postgres://user:{PASSWORD}@{NOBODY}/shop");
    let variables = [("DATABASE_URL", &*url), ("KAFKA_BROKERS", NOBODY)];
    let finished = run("outbox-relay", &[], &variables).await?;
    ensure_clear(&finished, UNREACHABLE, &[NOBODY, "DATABASE_URL"], &[PASSWORD])
}

#[tokio::test]
async fn a_password_that_is_wrong_is_not_repeated() -> Result<()> {
    let database = testing::database().await;
    let url = match password(&database.url) {
        Some(right) => database.url.replacen(right, PASSWORD, 1),
        None => database.url.replacen("://", &format!("://nobody:{PASSWORD}@"), 1),
    };
    let variables = [("DATABASE_URL", &*url), ("KAFKA_BROKERS", NOBODY)];
    let finished = run("outbox-relay", &[], &variables).await?;
    ensure_clear(&finished, USAGE_OR_CONFIGURATION, &["DATABASE_URL"], &[PASSWORD])
}

#[tokio::test]
async fn a_database_without_the_schema_names_the_command_that_makes_it() -> Result<()> {
    let (database, brokers) = (testing::database().await, testing::brokers().await);
    let variables = [("DATABASE_URL", &*database.url), ("KAFKA_BROKERS", &*brokers)];
    let finished = run("outbox-relay", &[], &variables).await?;
    let secrets: Vec<_> = password(&database.url).into_iter().collect();
    ensure_clear(&finished, SCHEMA, &["schema `dionysus`", "dionysus migrate"], &secrets)
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_is_named() -> Result<()> {
    let database = TestDatabase::new().await;
    let variables = [("DATABASE_URL", &*database.url), ("KAFKA_BROKERS", NOBODY)];
    let finished = run("outbox-relay", &[], &variables).await?;
    let secrets: Vec<_> = password(&database.url).into_iter().collect();
    ensure_clear(&finished, UNREACHABLE, &[NOBODY], &secrets)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_and_may_not_be_created_stops_its_lane_until_it_does()
-> Result<()> {
    let Shop { database, outbox, brokers, namespace } = shop().await?;
    let log = tempfile::NamedTempFile::new()?;
    let variables = [
        ("DATABASE_URL", &*database.url),
        ("KAFKA_BROKERS", &*brokers),
        ("DIONYSUS_RELAY__CREATE_TOPICS", "false"),
    ];
    let admin = Admin::new(&ClientConfig::new(&brokers))?;
    let [rentals, twin, bookings, reviews] = ["rentals", "rentals_genesis", "bookings", "reviews"]
        .map(|name| format!("{namespace}_{name}"));
    admin.create_topics(&[new_topic(&bookings), new_topic(&reviews)]).await?;
    let mut relay = Process::start_logging("outbox-relay", &[], &variables, log.path())?;

    let mut tx = outbox.begin().await?;
    let rental: Rental =
        sqlx::query_as("insert into rentals values (1, 7, 'Villa', 1) returning *")
            .fetch_one(&mut *tx)
            .await?;
    let booking: Booking =
        sqlx::query_as("insert into bookings values (1, 7, 'July', 1) returning *")
            .fetch_one(&mut *tx)
            .await?;
    tx.created(&rental)?;
    tx.created(&booking)?;
    tx.commit().await?;

    let said = eventually("an error about the topic", || async {
        let text = std::fs::read_to_string(log.path()).ok()?;
        text.contains(&*rentals).then_some(text).filter(|text| text.contains("ERROR"))
    })
    .await;
    ensure!(said.contains("dionysus topics create"), "no remedy:\n{said}");
    eventually("the booking in the log", || async {
        read_log(&brokers, &bookings).await.ok().filter(|log| log.len() == 1)
    })
    .await;

    admin.create_topics(&[new_topic(&rentals), new_topic(&twin)]).await?;
    drained(&database.pool, LIMIT).await?;
    for topic in [&rentals, &twin] {
        ensure!(read_log(&brokers, topic).await?.len() == 1, "the rental is not in {topic}");
    }
    let code = relay.terminate(Duration::from_secs(5)).await?;
    let said = std::fs::read_to_string(log.path())?;
    ensure!(code == 0 && !said.contains("panicked"), "exit code {code}:\n{said}");
    ensure!(
        password(&database.url).is_none_or(|password| !said.contains(password)),
        "the password is in the log"
    );
    Ok(())
}

/// Its topic is not in the topology.
#[derive(Publishable)]
#[publishable(table = "strangers")]
struct Stranger {
    id: i64,
}

#[tokio::test]
async fn what_the_outbox_refuses_is_said_at_once_and_loses_nothing_else() -> Result<()> {
    let Shop { database, outbox, .. } = shop().await?;
    let mut tx = outbox.begin().await?;
    let rental: Rental =
        sqlx::query_as("insert into rentals values (1, 7, 'Villa', 1) returning *")
            .fetch_one(&mut *tx)
            .await?;
    tx.created(&rental)?;
    let large = Rental { id: 2, name: "x".repeat(2 << 20), ..rental };
    let refusals = [tx.created(&Stranger { id: 1 }), tx.created(&large)];
    for (refusal, says) in refusals.into_iter().zip(["Stranger", "Rental"]) {
        let refusal = refusal.err().context("it was not refused")?;
        ensure!(refusal.to_string().contains(says), "{refusal}");
        ensure!(refusal.remedy().is_some(), "no remedy: {refusal}");
        ensure!(refusal.to_string().len() < 1_000, "the error holds the payload");
    }
    tx.commit().await?;
    let rows: i64 =
        query_scalar("select count(*) from dionysus.outbox").fetch_one(&database.pool).await?;
    ensure!(rows == 1, "{rows} rows");
    Ok(())
}

#[test]
fn a_topology_with_mistakes_names_them_all() {
    let error = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("rentals", |t| t.partition_key("acount_id").publish::<Rental>())
                .topic("rentals", |t| t.publish::<Booking>())
        })
        .build()
        .unwrap_err();
    let text = format!("{error} {:?}", error.remedy());
    assert!(text.contains("acount_id") && text.contains("v3_rentals"), "{text}");
}

/// An application that publishes three models.
struct Shop {
    database: TestDatabase,
    outbox: Outbox,
    brokers: String,
    namespace: String,
}

async fn shop() -> Result<Shop> {
    let database = TestDatabase::new().await;
    create_tables(&database.pool).await?;
    let namespace = testing::topic("v3");
    let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
    Ok(Shop { database, outbox, brokers: testing::brokers().await, namespace })
}

fn new_topic(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), partitions: 3, replication: 1, config: [].into() }
}
