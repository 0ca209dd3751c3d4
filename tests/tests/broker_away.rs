//! Kafka is away for longer than a message may wait: nothing is lost, nothing is inverted.

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus::{Outbox, Relay, RelayOptions};
use dionysus_e2e::{History, RelayProcess, alone, committed, drained, figure, now_ms, read_log};
use dionysus_embedded::{Kafka, KafkaOptions, testing};
use dionysus_testing::TestDatabase;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::models::{Rental, create_tables, topics, topology};

const TTL: Duration = Duration::from_secs(3);
/// A relay with this lease gives up waiting after about half of it.
const AWAY: Duration = Duration::from_secs(8);
/// Longer than two checkpoints, shorter than the relay waits.
const STUCK: Duration = Duration::from_millis(2_500);
const LIMIT: Duration = Duration::from_mins(1);
const WRITERS: i64 = 4;
const IDS: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_for_long_loses_and_inverts_nothing() -> Result<()> {
    let _turn = alone().await;
    let mut scene = Scene::set().await?;
    let stop = CancellationToken::new();
    let options = RelayOptions { lease_ttl: TTL, ..RelayOptions::default() };
    let relay = Relay::new(scene.database.url.parse()?, scene.kafka.bootstrap(), options)?;
    let signals = relay.signals();
    let relay = tokio::spawn(relay.run(stop.clone()));
    signals.claimed.reached(3).await;

    let (writers, still) = scene.write();
    sleep(Duration::from_secs(2)).await;
    let gone_ms = now_ms();
    scene.kafka.kill().await;
    sleep(AWAY).await;
    scene.kafka.restart().await?;
    let (back, handed) = (Instant::now(), signals.handed_over.count());
    sleep(Duration::from_secs(2)).await;
    still.cancel();
    writers.join_all().await.into_iter().collect::<Result<()>>()?;
    drained(&scene.database.pool, LIMIT).await?;
    figure(format_args!(
        "away {AWAY:?}, lease {TTL:?}; all rows acknowledged {:.1?} after its return; client rebuilt {} times",
        back.elapsed(),
        signals.rebuilt.count()
    ));
    ensure!(signals.rebuilt.count() > 0, "the broker came back before the relay gave up waiting");
    ensure!(signals.handed_over.count() > handed, "nothing was published after its return");
    stop.cancel();
    relay.await??;
    scene.ensure_sound(gone_ms).await
}

/// What was handed to the client and not acknowledged is lost with the relay; the stored place must lie before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_while_the_broker_is_away_loses_nothing() -> Result<()> {
    let _turn = alone().await;
    let mut scene = Scene::set().await?;
    let relay = RelayProcess {
        lease_ttl: TTL * 2,
        ..RelayProcess::new(&scene.database.url, scene.kafka.bootstrap())
    };
    let running = relay.start()?;
    let (writers, still) = scene.write();
    sleep(Duration::from_secs(2)).await;
    let gone_ms = now_ms();
    scene.kafka.kill().await;
    sleep(STUCK).await;
    running.kill().await?;
    still.cancel();
    writers.join_all().await.into_iter().collect::<Result<()>>()?;
    scene.kafka.restart().await?;
    let mut running = relay.start()?;
    drained(&scene.database.pool, LIMIT).await?;
    ensure!(running.terminate(Duration::from_secs(5)).await? == 0, "the relay did not end well");
    scene.ensure_sound(gone_ms).await
}

/// A Kafka of its own, and an application.
struct Scene {
    kafka: Kafka,
    database: TestDatabase,
    outbox: Outbox,
    namespace: String,
}

impl Scene {
    async fn set() -> Result<Self> {
        let kafka = Kafka::start(KafkaOptions::default()).await?;
        let database = TestDatabase::new().await;
        create_tables(&database.pool).await?;
        let namespace = testing::topic("v3");
        let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
        Ok(Self { kafka, database, outbox, namespace })
    }

    /// Writers, until the token is cancelled.
    fn write(&self) -> (JoinSet<Result<()>>, CancellationToken) {
        let (mut writers, stop) = (JoinSet::new(), CancellationToken::new());
        for writer in 0..WRITERS {
            writers.spawn(update_until(self.outbox.clone(), stop.clone(), writer));
        }
        (writers, stop)
    }

    /// Checks the logs; what a broker that is away may repeat lies between `gone_ms` and now.
    async fn ensure_sound(self, gone_ms: i64) -> Result<()> {
        let faults_ms: Vec<_> = (gone_ms - 100..now_ms()).step_by(10).collect();
        for (topic, of) in topics(&self.namespace).iter().filter(|(_, of)| of.contains("rentals")) {
            let committed = committed(&self.database.pool, of).await?;
            let log = read_log(self.kafka.bootstrap(), topic).await?;
            let verdict =
                History { committed: &committed, log: &log, faults_ms: &faults_ms }.check();
            figure(format_args!(
                "{topic}: {} rows, {} repeated",
                verdict.committed, verdict.duplicates
            ));
            verdict.ensure_sound()?;
        }
        self.kafka.stop().await;
        Ok(())
    }
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
        .bind((n * WRITERS + writer) % IDS)
        .fetch_one(&mut *tx)
        .await?;
        tx.updated(&rental)?;
        tx.commit().await?;
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
