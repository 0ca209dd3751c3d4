//! A row that its topic does not take stops its lane, says why, and holds up no other lane.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{LogRecord, Process, alone, eventually, figure, now_ms, read_log};
use dionysus_embedded::testing;
use dionysus_kafka::{Admin, ClientConfig, NewTopic};
use dionysus_postgres::lanes;
use dionysus_testing::TestDatabase;
use sqlx::query_as;
use tokio::time::sleep;

use crate::models::{Booking, Rental, create_tables, topology};

const RENTALS: i64 = 60;
/// Far below the retries of the lane that stands still.
const DELAY_MAX_MS: i64 = 2_000;
const LIMIT_BYTES: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_row_above_the_limit_of_its_topic_stops_its_lane_alone() -> Result<()> {
    let _turn = alone().await;
    let database = TestDatabase::new().await;
    create_tables(&database.pool).await?;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
    let [rentals, bookings] = ["rentals", "bookings"].map(|name| format!("{namespace}_{name}"));
    let narrow = NewTopic {
        name: bookings.clone(),
        partitions: 3,
        replication: 1,
        config: [("max.message.bytes".to_owned(), LIMIT_BYTES.to_string())].into(),
    };
    Admin::new(&ClientConfig::new(&brokers))?.create_topics(&[narrow]).await?;
    let log = tempfile::NamedTempFile::new()?;
    let variables = [("DATABASE_URL", &*database.url), ("KAFKA_BROKERS", &*brokers)];
    let mut relay = Process::start_logging("outbox-relay", &[], &variables, log.path())?;

    // The topology allows more than the topic, so that only the relay can find out.
    let (fits, exceeds) = ("x".to_owned(), "x".repeat(2 * LIMIT_BYTES));
    for (id, name) in [(1, &fits), (2, &exceeds), (3, &fits)] {
        book(&outbox, id, name).await?;
    }
    let mut committed_ms = Vec::new();
    for id in 0..RENTALS {
        rent(&outbox, id).await?;
        committed_ms.push((format!("Rental:{id}"), now_ms()));
        sleep(Duration::from_millis(100)).await;
    }
    let published = eventually("the rentals in the log", || async {
        read_log(&brokers, &rentals).await.ok().filter(|log| log.len() >= committed_ms.len())
    })
    .await;
    let longest = longest_delay_ms(&committed_ms, &published)?;
    figure(format_args!(
        "{RENTALS} rentals beside a lane that stands still, longest delay {longest} ms"
    ));
    ensure!(longest < DELAY_MAX_MS, "the rentals were held up");

    // What lies before the row is published; the row and what lies behind it wait.
    let booked: Vec<_> =
        read_log(&brokers, &bookings).await?.into_iter().map(|it| it.key).collect();
    ensure!(booked == ["Booking:1"], "published: {booked:?}");
    let lanes = lanes::all(&database.pool).await?;
    let lane = lanes.iter().find(|lane| lane.topic == bookings).context("no lane")?;
    ensure!(lane.pending == 2, "{lane:?}");
    let code = relay.terminate(Duration::from_secs(5)).await?;
    let said = std::fs::read_to_string(log.path())?;
    for text in ["ERROR", "remedy", "max.message.bytes", &bookings] {
        ensure!(said.contains(text), "no word of `{text}`:\n{said}");
    }
    ensure!(code == 0 && !said.contains("panicked"), "exit code {code}:\n{said}");
    ensure!(!said.contains("xxx"), "the payload is in the log");
    Ok(())
}

async fn book(outbox: &Outbox, id: i64, name: &str) -> Result<()> {
    let mut tx = outbox.begin().await?;
    let booking: Booking = query_as("insert into bookings values ($1, 7, $2, 1) returning *")
        .bind(id)
        .bind(name)
        .fetch_one(&mut *tx)
        .await?;
    tx.created(&booking)?;
    Ok(tx.commit().await?)
}

async fn rent(outbox: &Outbox, id: i64) -> Result<()> {
    let mut tx = outbox.begin().await?;
    let rental: Rental = query_as("insert into rentals values ($1, 7, 'Villa', 1) returning *")
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    tx.created(&rental)?;
    Ok(tx.commit().await?)
}

/// From a commit to the last hand-over of its record.
fn longest_delay_ms(committed_ms: &[(String, i64)], log: &[LogRecord]) -> Result<i64> {
    let delay = |(key, committed): &(String, i64)| {
        let last = log.iter().filter(|record| record.key == *key).map(|record| record.timestamp_ms);
        Some(last.max()? - committed)
    };
    committed_ms.iter().filter_map(delay).max().context("nothing was published")
}
