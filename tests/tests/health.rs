//! A running relay and a running consumer say how they are, and count what they did.

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{
    ConsumerProcess, Process, ReplicaOf, alone, drained, eventually, eventually_within, figure,
    free_address, http_get, metric,
};
use dionysus_embedded::{Kafka, KafkaOptions, testing};
use dionysus_testing::TestDatabase;
use serde_json::Value;
use tokio::time::Instant;

use crate::models::{ATTRIBUTES, Rental, create_replicas, create_tables, topology};

const ROWS: i64 = 40;
const LIMIT: Duration = Duration::from_mins(1);
/// What the programs are told; their default is ten times as long.
const UNREADY_AFTER: Duration = Duration::from_secs(3);
/// Between two looks at what waits, plus the look.
const SLACK: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_broker_is_away_is_unready_within_the_threshold_and_ready_again_after()
-> Result<()> {
    let _turn = alone().await;
    let mut kafka = Kafka::start(KafkaOptions::default()).await?;
    let database = TestDatabase::new().await;
    create_tables(&database.pool).await?;
    let namespace = testing::topic("v3");
    let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
    let address = free_address()?;
    let mut relay = relay(&database.url, kafka.bootstrap(), &address)?;
    eventually("a ready relay", || ready(&address)).await;

    rent(&outbox, 0..ROWS).await?;
    drained(&database.pool, LIMIT).await?;
    let published = format!("dionysus_relay_rows_published_total{{topic=\"{namespace}_rentals\"}}");
    eventually("the count of published rows", || async {
        let counted = metric(&address, &published).await.ok()??;
        (counted == ROWS).then_some(())
    })
    .await;
    let latencies =
        format!("dionysus_relay_publish_latency_seconds_count{{topic=\"{namespace}_rentals\"}}");
    let measured = metric(&address, &latencies).await?.unwrap_or(0);
    ensure!((1..=ROWS).contains(&measured), "{measured} latencies of {ROWS} rows");
    let epoch = format!("dionysus_relay_lane_epoch{{topic=\"{namespace}_rentals\"}}");
    ensure!(metric(&address, &epoch).await? == Some(1), "the lane has had another owner");

    kafka.kill().await;
    rent(&outbox, ROWS..ROWS + 1).await?;
    let away = Instant::now();
    let reasons = eventually_within(LIMIT, "an unready relay", || unready(&address)).await;
    let noticed = away.elapsed();
    figure(format_args!("broker away: unready after {noticed:.1?}: {reasons}"));
    ensure!(noticed <= UNREADY_AFTER + SLACK, "unready only after {noticed:?}");
    ensure!(reasons.contains(&format!("lane `{namespace}_rentals` stands still")), "{reasons}");
    let has_cause = ["no acknowledgement", "broker"].iter().any(|cause| reasons.contains(cause));
    ensure!(has_cause, "no cause: {reasons}");
    ensure!(http_get(&address, "/livez").await?.0 == 200, "its loop turns all the same");
    let pending = format!("dionysus_relay_pending_rows{{topic=\"{namespace}_rentals\"}}");
    ensure!(metric(&address, &pending).await? == Some(1), "one row waits");
    ensure!(metric(&address, &published).await? == Some(ROWS), "it counts as published");
    let checked = health_check(&address).await?;
    ensure!(checked.0 == 1 && checked.1.contains("stands still"), "{checked:?}");

    kafka.restart().await?;
    let back = Instant::now();
    eventually("a relay that is ready again", || ready(&address)).await;
    figure(format_args!("broker back: ready after {:.1?}", back.elapsed()));
    ensure!(health_check(&address).await?.0 == 0, "the health check does not agree");
    eventually("the row that waited", || async {
        let counted = metric(&address, &published).await.ok()??;
        (counted == ROWS + 1).then_some(())
    })
    .await;
    ensure!(relay.terminate(LIMIT).await? == 0, "the relay did not end well");
    ensure!(health_check(&address).await?.0 == 1, "a stopped relay is not healthy");
    kafka.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_counts_what_it_applied_and_is_ready_when_nothing_waits() -> Result<()> {
    let _turn = alone().await;
    let (source, sink) = (TestDatabase::new().await, TestDatabase::new().await);
    create_tables(&source.pool).await?;
    create_replicas(&sink.pool).await?;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let outbox = Outbox::connect(source.pool.clone(), topology(&namespace)?).await?;
    let mut relay = relay(&source.url, &brokers, &free_address()?)?;
    rent(&outbox, 0..ROWS).await?;
    drained(&source.pool, LIMIT).await?;

    let topic = format!("{namespace}_rentals");
    let address = free_address()?;
    let replica =
        ReplicaOf { topic: &topic, model: "Rental", table: "rentals", columns: &ATTRIBUTES };
    let consumer = ConsumerProcess::new(&sink.url, &brokers, &namespace, &[replica])?;
    let consumer = consumer.listening(&address);
    let mut consumer = consumer.start()?;
    let applied =
        format!("dionysus_consumer_records_total{{topic=\"{topic}\",outcome=\"applied\"}}");
    eventually("the count of applied records", || async {
        let counted = metric(&address, &applied).await.ok()??;
        (counted == ROWS).then_some(())
    })
    .await;
    eventually("a ready consumer", || ready(&address)).await;
    let (_, body) = http_get(&address, "/metrics").await?;
    let lags: Vec<&str> =
        body.lines().filter(|line| line.starts_with("dionysus_consumer_lag_messages{")).collect();
    ensure!(!lags.is_empty(), "no lag is shown:\n{body}");
    eventually("no lag", || async {
        let (_, body) = http_get(&address, "/metrics").await.ok()?;
        let mut lags = body.lines().filter(|l| l.starts_with("dionysus_consumer_lag_messages{"));
        lags.all(|line| line.ends_with(" 0")).then_some(())
    })
    .await;
    ensure!(consumer.terminate(LIMIT).await? == 0, "the consumer did not end well");
    ensure!(relay.terminate(LIMIT).await? == 0, "the relay did not end well");
    Ok(())
}

fn relay(url: &str, brokers: &str, address: &str) -> Result<Process> {
    Process::start(
        "outbox-relay",
        &["--listen", address],
        &[
            ("DATABASE_URL", url),
            ("KAFKA_BROKERS", brokers),
            ("DIONYSUS_RELAY__LEASE_TTL", "3s"),
            ("DIONYSUS_HTTP__UNREADY_AFTER", "3s"),
            ("DIONYSUS_LOG__FILTER", "warn,librdkafka=error,dionysus_relay=error"),
        ],
    )
}

async fn rent(outbox: &Outbox, ids: std::ops::Range<i64>) -> Result<()> {
    for id in ids {
        let mut tx = outbox.begin().await?;
        let rental: Rental = sqlx::query_as(
            "insert into rentals (id, account_id, name, revision) values ($1, 1, 'Villa', 1) returning *",
        )
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        tx.created(&rental)?;
        tx.commit().await?;
    }
    Ok(())
}

async fn ready(address: &str) -> Option<()> {
    let (status, _) = http_get(address, "/readyz").await.ok()?;
    (status == 200).then_some(())
}

/// The reasons, once it is not ready for another than that it starts.
async fn unready(address: &str) -> Option<String> {
    let (status, body) = http_get(address, "/readyz").await.ok()?;
    let answer: Value = serde_json::from_str(&body).ok()?;
    (status == 503).then(|| answer["reasons"].to_string())
}

/// What `--health-check` says: exit code and error.
async fn health_check(address: &str) -> Result<(i32, String)> {
    let ask = format!("--health-check=http://{address}");
    let settings =
        [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/x"), ("KAFKA_BROKERS", "none:1")];
    let finished = Process::run("outbox-relay", &[&ask], &settings, LIMIT).await?;
    Ok((finished.code, finished.stderr))
}
