//! A message whole, as it lies in the log: partition, key, headers and value, written by hand from the specification (§3.2-§3.4, §3.8) and our own headers
//! (README, guarantees).

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus::producer::TraceContext;
use dionysus::{Outbox, Publishable, Relay, RelayOptions, Topology};
use dionysus_e2e::{drained, read_records};
use dionysus_embedded::testing;
use dionysus_kafka::{Admin, ClientConfig, NewTopic, Record};
use dionysus_testing::TestDatabase;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

const PARTITIONS: u32 = 12;

#[derive(Publishable)]
#[publishable(model = "Core::Shard", table = "shards", soft_delete = false)]
struct Shard {
    id: i64,
    name: &'static str,
    #[publishable(hidden)]
    region: Option<&'static str>,
}

const CREATED: &str = r#"{"message":[{"event":"core_shard_created","model_name":"Core::Shard","data":[{"id":2,"name":"a \u0026 ó","links":{}}]}]}"#;
const DESTROYED: &str = r#"{"message":[{"event":"core_shard_destroyed","model_name":"Core::Shard","data":[{"links":{},"id":2}]}]}"#;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// In their order.
type Headers = Vec<(String, Vec<u8>)>;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_and_its_twin_have_the_gems_bytes_and_everything_of_ours_in_headers() -> Result<()>
{
    let database = TestDatabase::new().await;
    let brokers = testing::brokers().await;
    let namespace = testing::topic("v3");
    let [by_region, twin, by_key] =
        ["by_region", "by_region_genesis", "by_key"].map(|name| format!("{namespace}_{name}"));
    let new = [&by_region, &twin, &by_key].map(|name| NewTopic {
        name: name.clone(),
        partitions: PARTITIONS,
        replication: 1,
        config: [].into(),
    });
    Admin::new(&ClientConfig::new(&brokers))?.create_topics(&new).await?;
    let topology = Topology::builder()
        .namespace(&*namespace, |ns| {
            ns.topic("by_region", |t| {
                t.genesis_replica().partition_key("region").publish::<Shard>()
            })
            .topic("by_key", |t| t.publish::<Shard>())
        })
        .build()?;
    let outbox = Outbox::connect(database.pool.clone(), topology).await?;
    let stop = CancellationToken::new();
    let relay = Relay::new(database.url.parse()?, &brokers, RelayOptions::default())?;
    let relay = tokio::spawn(relay.run(stop.clone()));

    let shard = Shard { id: 2, name: "a & ó", region: Some("eu-west") };
    let mut tx = outbox.begin().await?;
    tx.set_trace_context(Some(TraceContext::new(PARENT, Some("vendor=x"))?));
    tx.created(&shard)?;
    tx.commit().await?;
    let mut tx = outbox.begin().await?;
    tx.destroyed(&shard)?;
    tx.commit().await?;
    drained(&database.pool, Duration::from_secs(20)).await?;
    stop.cancel();
    relay.await??;

    // CRC32 modulo twelve: of `eu-west` as in the recording 01b, and of `Core::Shard:2` where there is no partition key.
    let expected_partition = |topic: &str| if topic == by_key { 7 } else { 5 };
    for topic in [&by_region, &twin, &by_key] {
        let primary = topic.trim_end_matches("_genesis");
        let rows = headers(&database.pool, primary).await?;
        let log = read_records(&brokers, topic).await?;
        ensure!((log.len(), rows.len()) == (2, 2), "{topic}: {} records", log.len());
        for ((partition, record), (payload, headers)) in
            log.iter().zip([CREATED, DESTROYED].into_iter().zip(rows))
        {
            ensure!(*partition == expected_partition(topic), "{topic}: partition {partition}");
            same(record, "Core::Shard:2", payload, &headers)?;
        }
    }
    Ok(())
}

fn same(record: &Record, key: &str, payload: &str, headers: &Headers) -> Result<()> {
    ensure!(record.key.as_deref() == Some(key.as_bytes()), "{:?}", record.key);
    let wrote = record.payload.as_deref().unwrap_or_default();
    ensure!(wrote == payload.as_bytes(), "{}", String::from_utf8_lossy(wrote));
    ensure!(record.headers == *headers, "{:?} for {headers:?}", record.headers);
    Ok(())
}

/// What the headers of a topic's messages must be, in order of their rows: only the first transaction had a trace context.
async fn headers(pool: &PgPool, topic: &str) -> Result<Vec<Headers>> {
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(
        r#"select seq::text, event_id::text, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), event like '%created'
           from dionysus.outbox where topic = $1 order by seq"#,
    )
    .bind(topic)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(version, event_id, time, traced)| {
            let ours = [
                ("dionysus-version", version),
                ("dionysus-event-id", event_id),
                ("dionysus-snapshot-time", time),
            ];
            // The row keeps them as jsonb, where the shorter name comes first.
            let trace = [("tracestate", "vendor=x"), ("traceparent", PARENT)]
                .map(|(name, value)| (name, value.to_owned()));
            let all = ours.into_iter().chain(trace.into_iter().filter(|_| traced));
            all.map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
        })
        .collect())
}
