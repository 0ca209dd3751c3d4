//! Kafka is away for longer than a message may wait: nothing is lost, nothing is inverted.

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus::{Outbox, Relay, RelayOptions};
use dionysus_e2e::{
    History, alone, committed, drained, figure, migrated_database, now_ms, read_log,
};
use dionysus_embedded::{Kafka, KafkaOptions, testing};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::models::{Rental, create_tables, topics, topology};

const TTL: Duration = Duration::from_secs(3);
const AWAY: Duration = Duration::from_secs(8);
const IDS: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_for_long_loses_and_inverts_nothing() -> Result<()> {
    let _turn = alone().await;
    let mut kafka = Kafka::start(KafkaOptions::default()).await?;
    let brokers = kafka.bootstrap().to_owned();
    let database = migrated_database().await?;
    create_tables(&database.pool).await?;
    let namespace = testing::topic("v3");
    let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
    let (stop, still) = (CancellationToken::new(), CancellationToken::new());
    let options = RelayOptions { lease_ttl: TTL, ..RelayOptions::default() };
    let relay = Relay::new(database.url.parse()?, &brokers, options)?;
    let signals = relay.signals();
    let relay = tokio::spawn(relay.run(stop.clone()));
    signals.claimed.reached(3).await;

    let mut writers = JoinSet::new();
    for writer in 0..4 {
        writers.spawn(update_until(outbox.clone(), still.clone(), writer));
    }
    sleep(Duration::from_secs(2)).await;
    let gone_ms = now_ms();
    kafka.kill().await;
    sleep(AWAY).await;
    kafka.restart().await?;
    let back = Instant::now();
    let handed = signals.handed_over.count();
    sleep(Duration::from_secs(3)).await;
    still.cancel();
    while let Some(done) = writers.join_next().await {
        done??;
    }
    drained(&database.pool, Duration::from_mins(1)).await?;
    figure(format_args!(
        "away {AWAY:?}, lease {TTL:?}; all rows acknowledged {:.1?} after its return; the client was rebuilt {} times",
        back.elapsed(),
        signals.rebuilt.count()
    ));
    ensure!(signals.rebuilt.count() > 0, "the broker came back before the relay gave up waiting");
    ensure!(signals.handed_over.count() > handed, "nothing was published after its return");
    stop.cancel();
    relay.await??;

    // It may fail at any moment between these two.
    let faults_ms: Vec<_> = (gone_ms - 100..now_ms()).step_by(10).collect();
    for (topic, of) in topics(&namespace) {
        let (committed, log) =
            (committed(&database.pool, &of).await?, read_log(&brokers, &topic).await?);
        let verdict = History { committed: &committed, log: &log, faults_ms: &faults_ms }.check();
        figure(format_args!(
            "{topic}: {} rows, {} repeated",
            verdict.committed, verdict.duplicates
        ));
        verdict.ensure_sound()?;
    }
    kafka.stop().await;
    Ok(())
}

/// Updates rentals, each a few times, until told to stop.
async fn update_until(outbox: Outbox, stop: CancellationToken, writer: i64) -> Result<()> {
    for n in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let mut tx = outbox.begin().await?;
        let rental: Rental = sqlx::query_as(
            "insert into rentals as r (id, account_id, name, revision) values ($1, $1 % 7, 'Villa', 1)
             on conflict (id) do update set revision = r.revision + 1 returning *",
        )
        .bind((n * 4 + writer) % IDS)
        .fetch_one(&mut *tx)
        .await?;
        tx.updated(&rental)?;
        tx.commit().await?;
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
