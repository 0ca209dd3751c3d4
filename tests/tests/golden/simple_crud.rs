//! The recording `01a-simple-crud`.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::NaiveDateTime;
use dionysus::{Outbox, Publishable, Relay, RelayOptions, Topology};
use dionysus_core::partition_of;
use dionysus_e2e::{drained, read_log};
use dionysus_embedded::testing;
use dionysus_kafka::{Admin, ClientConfig, NewTopic};
use dionysus_testing::TestDatabase;
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow};
use tokio_util::sync::CancellationToken;

use super::{list, text};

/// As in the recording.
const PARTITIONS: u32 = 12;

#[derive(FromRow, Publishable)]
#[publishable(table = "notes")]
struct Note {
    id: i64,
    account_id: Option<i64>,
    body: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_the_recorded_messages_byte_by_byte() -> Result<()> {
    let recording: Value = serde_json::from_str(include_str!("../../golden/01a-simple-crud.json"))?;
    let database = TestDatabase::with_sql(text(&recording["tables"], "notes")?).await;
    let brokers = testing::brokers().await;
    let namespace = testing::topic("v3");
    let topic = format!("{namespace}_notes");
    let new =
        NewTopic { name: topic.clone(), partitions: PARTITIONS, replication: 1, config: [].into() };
    Admin::new(&ClientConfig::new(&brokers))?.create_topics(&[new]).await?;
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace(&*namespace, |ns| ns.topic("notes", |t| t.publish::<Note>()))
        .build()?;
    let outbox = database.outbox(topology).await;
    let stop = CancellationToken::new();
    let relay = Relay::new(database.url.parse()?, &brokers, RelayOptions::default())?;
    let relay = tokio::spawn(relay.run(stop.clone()));

    let mut expected = Vec::new();
    for step in list(&recording["steps"]) {
        run(&outbox, step).await?;
        expected.extend_from_slice(list(&step["messages"]));
    }
    drained(&database.pool, Duration::from_secs(20)).await?;
    stop.cancel();
    relay.await??;

    let mut log = read_log(&brokers, &topic).await?;
    log.sort_by_key(|record| record.version);
    ensure!(
        (log.len(), expected.len()) == (10, 8),
        "{} records for {} messages",
        log.len(),
        expected.len()
    );
    // The gem reads an instance when it publishes, and lost the two whose instance was deleted meanwhile. Ours carry the snapshots of their
    // transactions.
    for at in [8, 6] {
        let record = log.remove(at);
        let payload = String::from_utf8(record.payload)?;
        ensure!(payload.contains("_updated") || payload.contains("_created"), "{payload}");
    }
    for (record, message) in log.iter().zip(&expected) {
        let said = text(message, "payload")?;
        let wrote = str::from_utf8(&record.payload)?;
        ensure!(wrote == said, "ours {wrote}\ngem  {said}");
        ensure!(text(message, "topic")?.replacen("v3", &namespace, 1) == topic);
        ensure!(record.key == text(message, "key")?, "{} for {message}", record.key);
        let partition = message["partition_of_12"].as_i64().context("no partition")?;
        ensure!(
            i64::from(record.partition) == partition,
            "{} in partition {}",
            record.key,
            record.partition
        );
        let by_key = partition_of(text(message, "partition_key")?, PARTITIONS);
        ensure!(i64::from(by_key) == partition, "{by_key} for {message}");
    }
    Ok(())
}

/// Runs a step's statements, each in a transaction of its own, as recorded; `touch` and `update_columns` publish nothing.
async fn run(outbox: &Outbox, step: &Value) -> Result<()> {
    let publishes = !list(&step["outbox_inserted"]).is_empty();
    let statements = list(&step["sql"]).iter().filter_map(Value::as_str);
    for statement in statements.filter(|it| !matches!(*it, "BEGIN" | "COMMIT")) {
        let statement = statement.strip_suffix(" RETURNING \"id\"").unwrap_or(statement);
        let mut tx = outbox.begin().await?;
        let note: Note = sqlx::query_as(AssertSqlSafe(format!("{statement} returning *")))
            .fetch_one(&mut *tx)
            .await?;
        match statement.split_whitespace().next() {
            _ if !publishes => {}
            Some("INSERT") => tx.created(&note)?,
            Some("UPDATE") => tx.updated(&note)?,
            _ => tx.destroyed(&note)?,
        }
        tx.commit().await?;
    }
    Ok(())
}
