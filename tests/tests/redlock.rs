//! Locks in Redis beside the leases: the gem's worker and a relay exclude each other, and nothing hangs on Redis.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::relay::Secret;
use dionysus::{Outbox, Relay, RelayOptions};
use dionysus_e2e::{alone, eventually, read_log};
use dionysus_embedded::{Redis, testing};
use dionysus_testing::TestDatabase;
use sqlx::query_scalar;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::models::{Rental, create_tables, topology};

const TTL: Duration = Duration::from_secs(2);

/// An application, its Redis, and relays in this process.
struct Scene {
    relays: Vec<(CancellationToken, AbortOnDropHandle<Result<(), dionysus::relay::Error>>)>,
    redis: Redis,
    database: TestDatabase,
    outbox: Outbox,
    brokers: String,
    topic: String,
    lock: String,
    rentals: i64,
}

impl Scene {
    async fn set() -> Result<Self> {
        let database = TestDatabase::new().await;
        create_tables(&database.pool).await?;
        let namespace = testing::topic("v3");
        let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
        let topic = format!("{namespace}_rentals");
        let lock = format!("dionysus_{topic}_lock");
        let (redis, brokers) = (Redis::start().await?, testing::brokers().await);
        Ok(Self { relays: Vec::new(), redis, database, outbox, brokers, topic, lock, rentals: 0 })
    }

    fn add_relay(&mut self) -> Result<()> {
        let options = RelayOptions {
            lease_ttl: TTL,
            redlock: vec![Secret::new(self.redis.url())],
            ..RelayOptions::default()
        };
        let relay = Relay::new(self.database.url.parse()?, &self.brokers, options)?;
        let stop = CancellationToken::new();
        let running = AbortOnDropHandle::new(tokio::spawn(relay.run(stop.clone())));
        self.relays.push((stop, running));
        Ok(())
    }

    async fn stop(self) -> Result<Redis> {
        for (stop, running) in self.relays {
            stop.cancel();
            running.await??;
        }
        Ok(self.redis)
    }

    async fn rent(&mut self) -> Result<()> {
        self.rentals += 1;
        let mut tx = self.outbox.begin().await?;
        let rental: Rental = sqlx::query_as(
            "insert into rentals (id, account_id, name, revision) values ($1, 1, 'Villa', 1) returning *",
        )
        .bind(self.rentals)
        .fetch_one(&mut *tx)
        .await?;
        tx.created(&rental)?;
        Ok(tx.commit().await?)
    }

    async fn published(&self) -> Result<usize> {
        Ok(read_log(&self.brokers, &self.topic).await?.len())
    }

    async fn is_published(&self, rentals: usize) {
        eventually("the rentals in Kafka", || async {
            (self.published().await.ok()? == rentals).then_some(())
        })
        .await;
    }

    async fn epoch(&self) -> Result<i64> {
        let epoch = query_scalar("select epoch from dionysus.lanes where topic = $1");
        Ok(epoch.bind(&self.topic).fetch_one(&self.database.pool).await?)
    }

    /// Waits until the lane was tried `times` more: each time somebody claims it, its epoch goes up.
    async fn tried(&self, times: i64) -> Result<()> {
        let before = self.epoch().await?;
        eventually("more tries to take the lane", || async {
            (self.epoch().await.ok()? >= before + times).then_some(())
        })
        .await;
        Ok(())
    }

    /// Waits until so many lanes have an owner.
    async fn owned(&self, lanes: i64) {
        eventually(&format!("{lanes} lanes with an owner"), || async {
            let owned = query_scalar("select count(*) from dionysus.lanes where owner is not null");
            let owned: i64 = owned.fetch_one(&self.database.pool).await.ok()?;
            (owned == lanes).then_some(())
        })
        .await;
    }

    /// Waits until heartbeats have extended the lease by `time`.
    async fn outlived(&self, time: Duration) -> Result<()> {
        let end = "select max(extract(epoch from expires_at))::float8 from dionysus.relays";
        let before: f64 = query_scalar(end).fetch_one(&self.database.pool).await?;
        eventually("more heartbeats", || async {
            let now: f64 = query_scalar(end).fetch_one(&self.database.pool).await.ok()?;
            (now >= before + time.as_secs_f64()).then_some(())
        })
        .await;
        Ok(())
    }

    /// What Redis says to a command, in its own form.
    async fn ask(&self, command: &str) -> Result<String> {
        ask(&self.redis, command).await
    }
}

async fn ask(redis: &Redis, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect(redis.address()).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let line = BufReader::new(stream).lines().next_line().await?;
    line.context("no answer of Redis")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_waits_for_who_holds_its_lock_in_redis_and_is_given_up_to_them() -> Result<()> {
    let _turn = alone().await;
    let mut scene = Scene::set().await?;
    let take = format!("SET {} worker PX 600000", scene.lock);
    ensure!(scene.ask(&format!("{take} NX")).await? == "+OK");
    scene.rent().await?;
    scene.add_relay()?;
    scene.add_relay()?;
    scene.tried(4).await?;
    // The others are shared, and theirs are locked.
    scene.owned(2).await;
    ensure!(scene.ask("DBSIZE").await? == ":3", "a lock for each lane");
    ensure!(scene.published().await? == 0, "published beside the worker");

    ensure!(scene.ask(&format!("DEL {}", scene.lock)).await? == ":1");
    scene.is_published(1).await;
    ensure!(scene.ask(&format!("{take} NX")).await? == "$-1", "the lane has no lock");

    // As if ours had run out and the worker had come first.
    ensure!(scene.ask(&take).await? == "+OK");
    scene.owned(2).await;
    scene.rent().await?;
    scene.tried(2).await?;
    ensure!(scene.published().await? == 1, "published beside the worker");
    ensure!(scene.ask(&format!("DEL {}", scene.lock)).await? == ":1");
    scene.is_published(2).await;

    let redis = scene.stop().await?;
    ensure!(ask(&redis, "DBSIZE").await? == ":0", "locks are left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_lanes_go_on_and_none_is_claimed() -> Result<()> {
    let _turn = alone().await;
    let mut scene = Scene::set().await?;
    scene.add_relay()?;
    scene.rent().await?;
    scene.is_published(1).await;
    scene.owned(3).await;
    let epoch = scene.epoch().await?;

    scene.redis.kill().await;
    scene.outlived(TTL * 2).await?;
    scene.rent().await?;
    scene.is_published(2).await;
    ensure!(scene.epoch().await? == epoch, "the lane was given up");

    // A lane that is opened now waits.
    let other = testing::topic("v3");
    let late = Outbox::connect(scene.database.pool.clone(), topology(&other)?).await?;
    scene.outlived(TTL * 2).await?;
    let epochs = query_scalar("select sum(epoch)::bigint from dionysus.lanes where topic like $1");
    let epochs: i64 = epochs.bind(format!("{other}%")).fetch_one(&scene.database.pool).await?;
    ensure!(epochs == 0, "a lane was claimed without a lock");
    scene.redis.restart().await?;
    scene.owned(6).await;
    eventually("a lock for each lane", || async {
        (scene.ask("DBSIZE").await.ok()? == ":6").then_some(())
    })
    .await;
    ensure!(scene.epoch().await? == epoch, "the lane was given up");
    drop(late);
    scene.stop().await?;
    Ok(())
}
