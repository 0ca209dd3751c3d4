//! Postgres crashes under writers while the relay reads: ids and numbers whose log was not flushed are used again, and no row may hide
//! behind them.
//!
//! An id is reused when nothing was flushed after it was given: so in each round the writers commit, then only roll back and leave
//! transactions open until the relay has seen their ids pass, and then the server ends. Half of the crashes come amid the load instead.

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus::{Outbox, OutboxOptions, Relay, RelayOptions};
use dionysus_e2e::{
    History, Seed, Verdict, alone, committed, connect, drained, eventually, figure, now_ms,
    read_log,
};
use dionysus_embedded::{Postgres, PostgresOptions, testing};
use rand::Rng as _;
use rand::rngs::StdRng;
use sqlx::{PgPool, query, query_as, query_scalar};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::models::{Rental, create_tables, topics, topology};

/// Enough for both kinds of crash, several times.
const ROUNDS: u64 = 6;
/// Enough to lose rows: a relay that finds its cursor ahead of the server waits longer each time.
const ROUNDS_TO_LOSE: u64 = 2;
const WRITERS: u64 = 8;
const IDS: i64 = 20;
/// More than a round gives back, so that the last cursor lies behind every id that was used twice.
const LAST_ROWS: i64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn no_committed_row_is_missing_after_crashes_of_postgres() -> Result<()> {
    let _turn = alone().await;
    let seed = Seed::of_run();
    let (reused, verdict) = crash_again_and_again(seed, false).await?;
    figure(format_args!(
        "{ROUNDS} crashes, {reused} ids used twice; {} rows, {} repeated",
        verdict.committed, verdict.duplicates
    ));
    ensure!(reused > 0, "no crash gave ids back, so this run has shown nothing");
    verdict.ensure_sound()
}

/// The test of the test.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_keeps_its_cursors_over_a_reconnect_loses_rows() -> Result<()> {
    let _turn = alone().await;
    let seed = Seed::of_run();
    let (reused, verdict) = crash_again_and_again(seed, true).await?;
    figure(format_args!(
        "{ROUNDS_TO_LOSE} crashes, {reused} ids used twice; {} of {} rows lost",
        verdict.missing.len(),
        verdict.committed
    ));
    ensure!(
        !verdict.missing.is_empty(),
        "nothing was lost: the crash test would not notice the fault that it is made for"
    );
    Ok(())
}

/// Returns how many transaction ids were given twice, and what lies in the log.
async fn crash_again_and_again(seed: Seed, keeps_cursors: bool) -> Result<(u64, Verdict)> {
    let mut server = Postgres::start(PostgresOptions {
        settings: settings(),
        durable: true,
        ..PostgresOptions::default()
    })
    .await?;
    let url = server.create_database("crash").await?;
    let pool = connect(&url, 32).await?;
    dionysus_postgres::schema::migrate(&pool).await?;
    create_tables(&pool).await?;
    let brokers = testing::brokers().await;
    let namespace = testing::topic("v3");
    // A wake-up is a commit of its own and would flush the log.
    let options = OutboxOptions::new().notify(false);
    let outbox = Outbox::connect_with(pool.clone(), topology(&namespace)?, options).await?;
    let stop = CancellationToken::new();
    let mut relay = Relay::new(url.parse()?, &brokers, relay_options())?;
    if keeps_cursors {
        relay = relay.keep_cursors_over_reconnects();
    }
    let relay = tokio::spawn(relay.run(stop.clone()));

    let (mut reused, mut faults_ms) = (0, Vec::new());
    let mut rng = seed.stream(0);
    let rounds = if keeps_cursors { ROUNDS_TO_LOSE } else { ROUNDS };
    for round in 0..rounds {
        let span = Duration::from_millis(rng.random_range(300..900));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let rng = seed.stream(1 + round * WRITERS + writer);
            writers.spawn(write(outbox.clone(), rng, Instant::now() + span));
        }
        if keeps_cursors || round % 2 == 0 {
            writers.join_all().await;
            drained(&pool, Duration::from_secs(30)).await?;
            lose_ids(&pool, rng.random_range(20..40)).await?;
            relay_has_read(&pool).await?;
        } else {
            sleep(span / 2).await;
        }
        let before = next_id(&pool).await?;
        server.crash().await;
        faults_ms.push(now_ms());
        server.restart().await?;
        let after =
            eventually("the pool to reach the server", || async { next_id(&pool).await.ok() })
                .await;
        reused += before.saturating_sub(after);
    }
    for id in 0..LAST_ROWS {
        save(&outbox, 1 + id % IDS, true).await?;
    }
    drained(&pool, Duration::from_mins(1)).await?;
    stop.cancel();
    relay.await??;

    let topic = &topics(&namespace)[0].0;
    let (committed, log) = (committed(&pool, topic).await?, read_log(&brokers, topic).await?);
    server.stop().await;
    Ok((reused, History { committed: &committed, log: &log, faults_ms: &faults_ms }.check()))
}

/// Nothing but our commits flushes the log.
fn settings() -> Vec<(String, String)> {
    [
        ("wal_writer_delay", "10s"),
        ("autovacuum", "off"),
        ("bgwriter_lru_maxpages", "0"),
        ("checkpoint_timeout", "1h"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Heartbeats are commits as well: a long lease makes them rare.
fn relay_options() -> RelayOptions {
    RelayOptions {
        lease_ttl: Duration::from_mins(1),
        poll_interval: Duration::from_millis(20),
        checkpoint_interval: Duration::from_millis(100),
        listen: false,
        ..RelayOptions::default()
    }
}

/// Commits, rolls back, and leaves transactions open, until `end` or until the server is gone.
async fn write(outbox: Outbox, mut rng: StdRng, end: Instant) {
    let mut open = Vec::new();
    while Instant::now() < end {
        let id = rng.random_range(1..=IDS);
        let done = match rng.random_range(0..10) {
            0 if open.len() < 2 => match outbox.pool().begin().await {
                Ok(mut tx) => {
                    let given = query("select pg_current_xact_id()").execute(&mut *tx).await;
                    open.push(tx);
                    given.map(drop).map_err(Into::into)
                }
                Err(error) => Err(error.into()),
            },
            0..4 => save(&outbox, id, false).await,
            _ => save(&outbox, id, true).await,
        };
        if done.is_err() {
            return;
        }
        sleep(Duration::from_millis(rng.random_range(0..5))).await;
    }
}

async fn save(outbox: &Outbox, id: i64, commits: bool) -> Result<()> {
    let mut tx = outbox.begin().await?;
    let rental: Rental = query_as(
        "insert into rentals as r (id, account_id, name, revision) values ($1, $1 % 7, 'Villa', 1)
         on conflict (id) do update set revision = r.revision + 1 returning *",
    )
    .bind(id)
    .fetch_one(&mut *tx)
    .await?;
    tx.updated(&rental)?;
    if commits {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(())
}

/// Transactions that take an id and roll back; nothing of them is flushed.
async fn lose_ids(pool: &PgPool, count: u32) -> Result<()> {
    for _ in 0..count {
        let mut tx = pool.begin().await?;
        query("select pg_current_xact_id()").execute(&mut *tx).await?;
        tx.rollback().await?;
    }
    Ok(())
}

/// Waits until the relay has taken in a snapshot that is newer than this call: the read after it has begun.
async fn relay_has_read(pool: &PgPool) -> Result<()> {
    for _ in 0..2 {
        let now: chrono::DateTime<chrono::Utc> =
            query_scalar("select clock_timestamp()").fetch_one(pool).await?;
        eventually("the relay to read", || async {
            query("select from pg_stat_activity where application_name like 'outbox-relay:%:reader' and query_start > $1")
                .bind(now)
                .fetch_optional(pool)
                .await
                .ok()?
        })
        .await;
    }
    Ok(())
}

/// The next transaction id.
async fn next_id(pool: &PgPool) -> Result<u64> {
    let text: String = query_scalar("select pg_snapshot_xmax(pg_current_snapshot())::text")
        .fetch_one(pool)
        .await?;
    Ok(text.parse()?)
}
