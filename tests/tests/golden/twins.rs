//! The recording `04a-genesis-live`: topics with and without a twin, and tombstones.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::NaiveDateTime;
use dionysus::types::Numeric;
use dionysus::{Outbox, Part, Publishable, Relay, RelayOptions, Topology};
use dionysus_core::partition_of;
use dionysus_e2e::{drained, read_records};
use dionysus_embedded::testing;
use dionysus_testing::TestDatabase;
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow};
use tokio_util::sync::CancellationToken;

use super::{list, text};

/// As in the recording, and what the relay makes.
const PARTITIONS: u32 = 12;

#[derive(FromRow, Publishable)]
#[publishable(table = "rentals")]
struct Rental {
    id: i64,
    #[publishable(hidden)]
    account_id: Option<i64>,
    name: Option<String>,
    canceled_at: Option<NaiveDateTime>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

#[derive(FromRow, Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(hidden)]
    account_id: Option<i64>,
    name: Option<String>,
    price: Option<Numeric>,
    canceled_at: Option<NaiveDateTime>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    #[publishable(link = "rental")]
    rental_id: Option<i64>,
    #[sqlx(skip)]
    #[publishable(part)]
    fees: Part<Vec<BookingsFee>>,
}

#[derive(FromRow, Publishable)]
#[publishable(table = "bookings_fees")]
struct BookingsFee {
    id: i64,
    name: Option<String>,
    amount: Option<Numeric>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    #[publishable(link = "booking")]
    booking_id: Option<i64>,
}

#[derive(FromRow, Publishable)]
#[publishable(table = "notes")]
struct Note {
    id: i64,
    account_id: Option<i64>,
    body: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

fn topology(namespace: &str) -> Result<Topology> {
    Ok(Topology::builder()
        .integer_partition_keys()
        .namespace(namespace, |ns| {
            ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>())
                .topic("bookings", |t| {
                    t.genesis_replica().publish::<Booking>().with::<BookingsFee>()
                })
                .topic("notes", |t| t.publish::<Note>())
        })
        .build()?)
}

/// The gem reads the booking when it publishes, and its first message has the fee that a later transaction made.
const BOOKED: &str = r#"{"message":[{"event":"booking_created","model_name":"Booking","data":[{"id":2,"name":"b2","price":"20.0","canceled_at":null,"created_at":"2024-01-15T10:00:00.001Z","updated_at":"2024-01-15T10:00:00.001Z","links":{"rental":1,"bookings_fees":[]},"bookings_fees":[]}]}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_twins_hold_the_recorded_messages_and_tombstones() -> Result<()> {
    let recording: Value =
        serde_json::from_str(include_str!("../../golden/04a-genesis-live.json"))?;
    let tables = ["rentals", "bookings", "bookings_fees", "notes"]
        .map(|table| recording["tables"][table].as_str().unwrap_or_default());
    let database = TestDatabase::with_sql(&tables.join(";")).await;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let outbox = database.outbox(topology(&namespace)?).await;
    let stop = CancellationToken::new();
    let relay = Relay::new(database.url.parse()?, &brokers, RelayOptions::default())?;
    let relay = tokio::spawn(relay.run(stop.clone()));
    let rentals = format!("{namespace}_rentals");
    for step in list(&recording["steps"]) {
        match step["n"].as_u64() {
            Some(3 | 5) => tombstone(&outbox, step).await?,
            Some(4) => {
                let mut tx = outbox.begin().await?;
                tx.tombstone_of_key(&rentals, "Rental:old", Some("99"))?;
                tx.commit().await?;
            }
            _ => run(&outbox, step).await?,
        }
    }
    drained(&database.pool, Duration::from_secs(20)).await?;
    stop.cancel();
    relay.await??;

    let all: Vec<&Value> =
        list(&recording["steps"]).iter().flat_map(|step| list(&step["messages"])).collect();
    for name in ["rentals", "bookings", "notes"] {
        for twin in ["", "_genesis"] {
            let recorded = format!("v3_{name}{twin}");
            let expected: Vec<_> = all.iter().filter(|it| it["topic"] == *recorded).collect();
            let mut log = read_records(&brokers, &format!("{namespace}_{name}{twin}")).await?;
            ensure!(log.len() == expected.len(), "{recorded}: {} records", log.len());
            log.sort_by_key(|(_, record)| version(record));
            for ((partition, record), message) in log.iter().zip(expected) {
                same(*partition, record, message)?;
            }
        }
    }
    Ok(())
}

fn version(record: &dionysus_kafka::Record) -> i64 {
    let header = record.headers.iter().find(|(name, _)| name == dionysus::headers::VERSION);
    header.and_then(|(_, value)| str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0)
}

fn same(partition: i32, record: &dionysus_kafka::Record, message: &Value) -> Result<()> {
    let said = text(message, "payload")?;
    let wrote = record.payload.as_deref().map(str::from_utf8).transpose()?;
    // A tombstone is a real null, not its text (W21).
    let expected = match said {
        "null" => None,
        said if said.contains("booking_created") => Some(BOOKED),
        said => Some(said),
    };
    ensure!(wrote == expected, "ours {wrote:?}\ngem  {said}");
    ensure!(record.key.as_deref() == Some(text(message, "key")?.as_bytes()), "{message}");
    ensure!(Some(i64::from(partition)) == message["partition_of_12"].as_i64(), "{message}");
    let by_key = partition_of(text(message, "partition_key")?, PARTITIONS);
    ensure!(i64::from(by_key) == i64::from(partition), "{by_key} for {message}");
    Ok(())
}

async fn tombstone(outbox: &Outbox, step: &Value) -> Result<()> {
    let mut tx = outbox.begin().await?;
    if step["n"] == 3 {
        let rental: Rental =
            sqlx::query_as("select * from rentals for update").fetch_one(&mut *tx).await?;
        tx.tombstone(&rental)?;
    } else {
        let note: Note =
            sqlx::query_as("select * from notes for update").fetch_one(&mut *tx).await?;
        tx.tombstone(&note)?;
    }
    Ok(tx.commit().await?)
}

/// Runs a step's statements, each in a transaction of its own, as recorded.
async fn run(outbox: &Outbox, step: &Value) -> Result<()> {
    let statements = list(&step["sql"]).iter().filter_map(Value::as_str);
    for statement in statements.filter(|it| !matches!(*it, "BEGIN" | "COMMIT")) {
        let statement = statement.strip_suffix(" RETURNING \"id\"").unwrap_or(statement);
        let sql = AssertSqlSafe(format!("{statement} returning *"));
        let mut tx = outbox.begin().await?;
        let is = |table: &str| statement.contains(&format!("\"{table}\""));
        macro_rules! state {
            ($model:ty) => {{
                let row: $model = sqlx::query_as(sql).fetch_one(&mut *tx).await?;
                if statement.starts_with("INSERT") {
                    tx.changed(None, Some(&row))?;
                } else {
                    tx.changed(Some(&row), None)?;
                }
            }};
        }
        if is("bookings_fees") {
            state!(BookingsFee);
        } else if is("bookings") {
            state!(Booking);
        } else if is("notes") {
            state!(Note);
        } else {
            state!(Rental);
        }
        tx.commit().await?;
    }
    Ok(())
}
