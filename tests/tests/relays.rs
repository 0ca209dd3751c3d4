//! Several relays share the lanes; one that dies or leaves is followed by another in time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{
    History, Process, RelayProcess, Verdict, alone, committed, drained, eventually, figure, now_ms,
    read_log,
};
use dionysus_embedded::testing;
use dionysus_postgres::outbox::NewRow;
use dionysus_postgres::relays;
use dionysus_postgres::topics::{self, Registration};
use dionysus_testing::TestDatabase;
use sqlx::{PgPool, query_scalar};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::models::{Rental, create_tables, topology};

const TTL: Duration = Duration::from_secs(2);
const ROUNDS: usize = 3;

/// Two relays, and the application that they serve.
struct Pair {
    // Dropped first: a relay whose database goes complains.
    relays: BTreeMap<String, Process>,
    database: TestDatabase,
    outbox: Outbox,
    brokers: String,
    topic: String,
    made: usize,
}

impl Pair {
    async fn start() -> Result<Self> {
        let database = TestDatabase::new().await;
        create_tables(&database.pool).await?;
        let namespace = testing::topic("v3");
        let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
        let (brokers, topic) = (testing::brokers().await, format!("{namespace}_rentals"));
        let mut pair = Self { database, outbox, brokers, topic, relays: BTreeMap::new(), made: 0 };
        pair.add().await?;
        pair.add().await?;
        Ok(pair)
    }

    /// Starts another relay, and waits until each has lanes and all of those are stored.
    async fn add(&mut self) -> Result<()> {
        self.made += 1;
        let name = format!("relay-{}", self.made);
        let process =
            RelayProcess { lease_ttl: TTL, ..RelayProcess::new(&self.database.url, &self.brokers) };
        self.relays.insert(name.clone(), process.named(&name).start()?);
        let wanted: &[i64] = if self.relays.len() == 1 { &[3] } else { &[1, 2] };
        shared(&self.database.pool, wanted).await;
        Ok(())
    }

    /// The relay that owns the rentals.
    async fn take_owner(&mut self) -> Result<Process> {
        let name: String = query_scalar(
            "select r.name from dionysus.lanes l join dionysus.relays r on r.id = l.owner where l.topic = $1",
        )
        .bind(&self.topic)
        .fetch_one(&self.database.pool)
        .await?;
        self.relays.remove(&name).context("an unknown owner")
    }

    async fn epoch(&self) -> Result<i64> {
        Ok(query_scalar("select epoch from dionysus.lanes where topic = $1")
            .bind(&self.topic)
            .fetch_one(&self.database.pool)
            .await?)
    }

    /// Waits for the next owner of the rentals.
    async fn succeeded(&self, epoch: i64) {
        eventually("a successor", || async { self.epoch().await.ok().filter(|now| *now > epoch) })
            .await;
    }

    /// The log's verdict, and for each of `moments_ms` how long it took from there to the first record that had not appeared before.
    async fn handovers(&self, moments_ms: &[i64]) -> Result<(Verdict, Vec<i64>)> {
        drained(&self.database.pool, Duration::from_secs(20)).await?;
        let (committed, mut log) = (
            committed(&self.database.pool, &self.topic).await?,
            read_log(&self.brokers, &self.topic).await?,
        );
        let verdict = History { committed: &committed, log: &log, faults_ms: moments_ms }.check();
        log.sort_by_key(|record| record.timestamp_ms);
        let mut seen = std::collections::HashSet::new();
        log.retain(|record| seen.insert(record.event_id));
        let first_after = |moment: &i64| {
            let record = log
                .iter()
                .find(|record| record.timestamp_ms > *moment)
                .context("nothing after the handover")?;
            Ok(record.timestamp_ms - moment)
        };
        Ok((verdict, moments_ms.iter().map(first_after).collect::<Result<_>>()?))
    }
}

async fn insert(outbox: &Outbox, id: i64) -> Result<()> {
    let mut tx = outbox.begin().await?;
    let rental: Rental =
        sqlx::query_as("insert into rentals (id, account_id, name, revision) values ($1, $1 % 7, 'Villa', 1) returning *")
            .bind(id)
            .fetch_one(&mut *tx)
            .await?;
    tx.created(&rental)?;
    tx.commit().await?;
    Ok(())
}

/// Inserts rentals, one each 10 ms, until told to stop.
fn insert_until(outbox: Outbox, stop: CancellationToken) -> AbortOnDropHandle<Result<()>> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        for id in 0.. {
            if stop.is_cancelled() {
                break;
            }
            insert(&outbox, id).await?;
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }))
}

/// Waits until the live relays own as many lanes as `wanted` says, in ascending order.
async fn shared(pool: &PgPool, wanted: &[i64]) {
    eventually(&format!("lanes shared as {wanted:?}"), || async {
        let live = relays::all(pool).await.ok()?.into_iter().filter(|relay| relay.lease_s > 0.0);
        let mut lanes: Vec<_> = live.map(|relay| relay.lanes).collect();
        lanes.sort_unstable();
        (lanes == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_is_followed_within_its_lease_and_a_second() -> Result<()> {
    let _turn = alone().await;
    let mut pair = Pair::start().await?;
    let stop = CancellationToken::new();
    let writing = insert_until(pair.outbox.clone(), stop.clone());
    let mut kills_ms = Vec::new();
    for _ in 0..ROUNDS {
        sleep(Duration::from_millis(500)).await;
        let (epoch, owner) = (pair.epoch().await?, pair.take_owner().await?);
        owner.kill().await?;
        kills_ms.push(now_ms());
        pair.succeeded(epoch).await;
        pair.add().await?;
    }
    stop.cancel();
    writing.await??;
    let (verdict, handovers) = pair.handovers(&kills_ms).await?;
    figure(format_args!(
        "SIGKILL to the successor's first new record, lease {TTL:?}: {handovers:?} ms; {} rows, {} repeated",
        verdict.committed, verdict.duplicates
    ));
    verdict.ensure_sound()?;
    let limit = i64::try_from((TTL + Duration::from_secs(1)).as_millis())?;
    ensure!(handovers.iter().all(|ms| *ms <= limit), "more than {limit} ms");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_relay_that_is_told_to_stop_hands_over_within_a_second() -> Result<()> {
    let _turn = alone().await;
    let mut pair = Pair::start().await?;
    let mut told_ms = Vec::new();
    for round in 0..ROUNDS {
        insert(&pair.outbox, 2 * i64::try_from(round)?).await?;
        drained(&pair.database.pool, Duration::from_secs(20)).await?;
        let (epoch, mut owner) = (pair.epoch().await?, pair.take_owner().await?);
        told_ms.push(now_ms());
        owner.signal("TERM").await?;
        insert(&pair.outbox, 2 * i64::try_from(round)? + 1).await?;
        let code = owner.ended(Duration::from_secs(5)).await?;
        ensure!(code == 0, "the relay ended with {code}");
        pair.succeeded(epoch).await;
        pair.add().await?;
    }
    let (verdict, handovers) = pair.handovers(&told_ms).await?;
    figure(format_args!("SIGTERM to the next record, nothing in flight: {handovers:?} ms"));
    verdict.ensure_sound()?;
    ensure!(verdict.duplicates == 0, "{} records were repeated", verdict.duplicates);
    ensure!(handovers.iter().all(|ms| *ms <= 1_000), "more than a second");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_shared_evenly_by_as_many_relays_as_there_are() -> Result<()> {
    let _turn = alone().await;
    let database = TestDatabase::new().await;
    let (brokers, prefix) = (testing::brokers().await, testing::topic("v3"));
    let names: Vec<_> = (0..6).map(|n| format!("{prefix}_{n}")).collect();
    let registered: Vec<_> = names.iter().cloned().map(registration).collect();
    let mut conn = database.pool.acquire().await?;
    topics::register(&mut conn, &registered).await?;
    let relay = RelayProcess::new(&database.url, &brokers);

    let mut running = vec![relay.named("a").start()?];
    shared(&database.pool, &[6]).await;
    running.push(relay.named("b").start()?);
    shared(&database.pool, &[3, 3]).await;
    running.push(relay.named("c").start()?);
    shared(&database.pool, &[2, 2, 2]).await;

    let ids: Vec<_> = names.iter().map(|_| Uuid::now_v7()).collect();
    let rows: Vec<_> = names.iter().zip(&ids).map(|(topic, id)| row(topic, *id)).collect();
    dionysus_postgres::outbox::append(&mut conn, &rows).await?;
    drained(&database.pool, Duration::from_secs(20)).await?;
    for topic in &names {
        ensure!(read_log(&brokers, topic).await?.len() == 1, "{topic} was not published");
    }

    running.remove(0).kill().await?;
    shared(&database.pool, &[3, 3]).await;
    for mut relay in running {
        ensure!(relay.terminate(Duration::from_secs(5)).await? == 0, "a relay did not end well");
    }
    Ok(())
}

fn registration(name: String) -> Registration {
    Registration {
        name,
        namespace: "v3".into(),
        genesis_replica: false,
        topology: serde_json::json!({}),
    }
}

fn row(topic: &str, event_id: Uuid) -> NewRow<'_> {
    NewRow {
        event_id,
        topic,
        key: "Rental:1",
        partition_key: Some("7"),
        event: "rental_created",
        model: "Rental",
        model_id: "1",
        payload: Some(b"{}"),
        headers: None,
    }
}
