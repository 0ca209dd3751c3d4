//! Postgres is restored from an older copy: what Kafka has seen since is not known to it, and its numbers come a second time. Nobody goes on in
//! silence, and after a decision everything goes on in order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dionysus::{Outbox, OutboxOptions, Relay, RelayOptions};
use dionysus_e2e::{Finished, Process, committed, connect, drained, eventually, figure, read_log};
use dionysus_embedded::{Postgres, PostgresOptions, testing};
use dionysus_postgres::timeline::Sign;
use dionysus_postgres::{Error as PostgresError, schema};
use dionysus_relay::Error;
use sqlx::{PgPool, query_as, query_scalar};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::models::{Rental, create_tables, topology};

const LIMIT: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(2);

struct Scene {
    server: Postgres,
    url: String,
    pool: PgPool,
    outbox: Outbox,
    brokers: String,
    topic: String,
}

impl Scene {
    async fn new() -> Result<Self> {
        let server = Postgres::start(PostgresOptions::default()).await?;
        let url = server.create_database("restored").await?;
        let pool = connect(&url, 8).await?;
        schema::migrate(&pool).await?;
        create_tables(&pool).await?;
        let namespace = testing::topic("v3");
        let options = OutboxOptions::new().notify(false);
        let outbox = Outbox::connect_with(pool.clone(), topology(&namespace)?, options).await?;
        let topic = format!("{namespace}_rentals");
        Ok(Self { server, url, pool, outbox, brokers: testing::brokers().await, topic })
    }

    fn relay(&self, new_timeline: bool) -> Result<Running> {
        let options = RelayOptions { lease_ttl: LEASE, new_timeline, ..RelayOptions::default() };
        let relay = Relay::new(self.url.parse()?, &self.brokers, options)?;
        let stop = CancellationToken::new();
        Ok(Running { task: tokio::spawn(relay.run(stop.clone())), stop })
    }

    async fn save(&self, ids: std::ops::Range<i64>) -> Result<()> {
        for id in ids {
            let mut tx = self.outbox.begin().await?;
            let rental: Rental = query_as(
                "insert into rentals as r (id, account_id, name, revision) values ($1, 1, 'Villa', 1)
                 on conflict (id) do update set revision = r.revision + 1 returning *",
            )
            .bind(id)
            .fetch_one(&mut *tx)
            .await?;
            tx.updated(&rental)?;
            tx.commit().await?;
        }
        Ok(())
    }

    async fn looks(&self) -> Option<i64> {
        query_scalar("select looks from dionysus.system").fetch_one(&self.pool).await.ok()
    }

    /// A copy of the server's data, as a snapshot of its disk would be.
    async fn copy(&mut self) -> Result<PathBuf> {
        let copy = self.data().with_extension("copy");
        self.server.crash().await;
        run("cp", &[Path::new("-a"), &self.data(), &copy])?;
        self.server.restart().await?;
        Ok(copy)
    }

    async fn restore(&mut self, copy: &Path) -> Result<()> {
        self.server.crash().await;
        std::fs::remove_dir_all(self.data())?;
        std::fs::rename(copy, self.data())?;
        self.server.restart().await?;
        eventually("the pool to reach the server", || self.looks()).await;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.server.log_file().with_file_name("data")
    }

    async fn doctor(&self, arguments: &[&str]) -> Result<Finished> {
        self.run("dionysus", &[&["doctor"], arguments].concat()).await
    }

    /// One of our binaries, to its end.
    async fn run(&self, binary: &str, arguments: &[&str]) -> Result<Finished> {
        let variables = [("DATABASE_URL", &*self.url), ("KAFKA_BROKERS", &*self.brokers)];
        Process::run(binary, arguments, &variables, LIMIT).await
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<()> {
    ensure!(std::process::Command::new(program).args(arguments).status()?.success(), "{program}");
    Ok(())
}

struct Running {
    task: JoinHandle<Result<(), Error>>,
    stop: CancellationToken,
}

impl Running {
    /// The sign by which it has ended.
    async fn sign(self) -> Result<Sign> {
        match timeout(LIMIT, self.task).await.context("the relay goes on")?? {
            Err(Error::Postgres(PostgresError::Restored { sign, .. })) => Ok(sign),
            other => bail!("the relay ended with {other:?}"),
        }
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(timeout(LIMIT, self.task).await.context("the relay goes on")???)
    }
}

/// The rows of the outbox, each in the log under its number, none of a key behind a higher one.
async fn published(scene: &Scene) -> Result<usize> {
    let (rows, log) = (
        committed(&scene.pool, &scene.topic).await?,
        read_log(&scene.brokers, &scene.topic).await?,
    );
    for row in &rows {
        let found =
            log.iter().find(|record| record.event_id == row.event_id && record.version == row.seq);
        let found = found.with_context(|| format!("{row:?} is not in the log"))?;
        let overtaken = log.iter().any(|other| {
            other.key == found.key && other.version > found.version && other.offset < found.offset
        });
        ensure!(!overtaken, "a higher version of {row:?} stands before it");
    }
    Ok(rows.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_ends_when_an_older_copy_takes_the_servers_place_and_goes_on_after_a_decision()
-> Result<()> {
    let mut scene = Scene::new().await?;
    let relay = scene.relay(false)?;
    scene.save(1..20).await?;
    drained(&scene.pool, LIMIT).await?;
    let copy = scene.copy().await?;
    eventually("the pool to reach the server", || scene.looks()).await;
    let looks = scene.looks().await.context("no server")?;
    // What the copy lacks: published rows, and a look of the relay.
    scene.save(10..40).await?;
    drained(&scene.pool, LIMIT).await?;
    let last: i64 =
        query_scalar("select last_value from dionysus.outbox_seq").fetch_one(&scene.pool).await?;
    eventually("the relay to look", || async { scene.looks().await.filter(|now| *now > looks) })
        .await;

    scene.restore(&copy).await?;
    let restored = Instant::now();
    let sign = relay.sign().await?;
    figure(format_args!(
        "a running relay ends {:?} after the restored server runs: {sign}",
        restored.elapsed()
    ));
    ensure!(sign == Sign::WentBack, "{sign:?}");
    // A relay that is started now remembers nothing; Kafka does.
    let ended = scene.run("outbox-relay", &[]).await?;
    let expected = format!("holds version {last}, and the database has come to");
    ensure!(ended.code == 3 && ended.stderr.contains(&expected), "{ended:?}");
    ensure!(
        ended.stderr.contains("remedy: ") && ended.stderr.contains("--new-timeline"),
        "{ended:?}"
    );

    scene.save(15..25).await?;
    let found = scene.doctor(&[]).await?;
    ensure!(found.code == 1 && found.stdout.contains("--new-timeline"), "{found:?}");
    let begun = scene.doctor(&["--new-timeline"]).await?;
    ensure!(begun.code == 0 && begun.stdout.starts_with("timeline 1 has begun"), "{begun:?}");
    let relay = scene.relay(false)?;
    scene.save(15..30).await?;
    drained(&scene.pool, LIMIT).await?;
    relay.stop().await?;
    let rows = published(&scene).await?;
    ensure!(rows >= 25, "only {rows} rows");
    let lowest = committed(&scene.pool, &scene.topic).await?[0].seq;
    ensure!(lowest > 1 << 48, "{lowest}");
    let found = scene.doctor(&[]).await?;
    ensure!(!found.stdout.contains("--new-timeline"), "{found:?}");
    figure(format_args!("{rows} rows published again or anew, numbers from {lowest} on"));
    scene.server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_was_told_so_starts_the_new_timeline_itself() -> Result<()> {
    let mut scene = Scene::new().await?;
    let copy = scene.copy().await?;
    eventually("the pool to reach the server", || scene.looks()).await;
    let relay = scene.relay(true)?;
    scene.save(1..20).await?;
    drained(&scene.pool, LIMIT).await?;
    let looks = scene.looks().await.context("no server")?;
    eventually("the relay to look", || async { scene.looks().await.filter(|now| *now > looks) })
        .await;
    scene.restore(&copy).await?;
    scene.save(1..10).await?;
    eventually("a new timeline", || async {
        let timeline: i64 = query_scalar("select timeline from dionysus.system")
            .fetch_one(&scene.pool)
            .await
            .ok()?;
        (timeline == 1).then_some(())
    })
    .await;
    scene.save(5..15).await?;
    drained(&scene.pool, LIMIT).await?;
    relay.stop().await?;
    ensure!(published(&scene).await? >= 19);
    scene.server.stop().await;
    Ok(())
}
