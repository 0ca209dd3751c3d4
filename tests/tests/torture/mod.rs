//! The torture test of the cursor: many writers, a relay that is killed again and again, then the raw log and the replicas.

mod replicas;
mod schedule;
mod writer;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{
    History, Process, RelayProcess, Seed, alone, broker_is_embedded, committed, connect, drained,
    figure, now_ms, read_log,
};
use dionysus_embedded::testing;
use dionysus_testing::TestDatabase;
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use replicas::Replicas;

use crate::models::{create_tables, topics, topology};
use writer::{Tally, write};

const WRITERS: u32 = 24;
const DURATION: Duration = Duration::from_secs(20);
const KILLS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_inverted_while_the_relay_is_killed_again_and_again() -> Result<()> {
    let _turn = alone().await;
    let seed = Seed::of_run();
    let database = TestDatabase::new().await;
    create_tables(&database.pool).await?;
    let brokers = testing::brokers().await;
    let namespace = testing::topic("v3");
    let pool = connect(&database.url, WRITERS + 4).await?;
    let outbox = Outbox::connect(pool, topology(&namespace)?).await?;

    let end = Instant::now() + DURATION;
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(write(outbox.clone(), seed.stream(number.into()), end));
    }
    let relay = RelayProcess::new(&database.url, &brokers);
    let killing = tokio::spawn(kill_again_and_again(relay, seed.stream(1_000), end));
    let replicas = Replicas::create(&brokers, &namespace).await?;
    let consumer = kill_once(&replicas, seed.stream(1_001), end).await?;
    let mut tally = Tally::default();
    while let Some(done) = writers.join_next().await {
        tally += done??;
    }
    let (relay, faults_ms) = killing.await??;
    let drained = drained(&database.pool, Duration::from_secs(30)).await;
    ended_well(relay).await?;
    figure(format_args!("{tally:?}"));
    ensure!(
        tally.commits > 300 && tally.roll_backs > 50 && tally.early > 100,
        "too little was written"
    );

    let mut logs = HashMap::new();
    for (topic, of) in topics(&namespace) {
        let committed = committed(&database.pool, &of).await?;
        let log = read_log(&brokers, &topic).await?;
        let verdict = History { committed: &committed, log: &log, faults_ms: &faults_ms }.check();
        figure(format_args!(
            "{topic}: {} rows, {} records, {} repeated",
            verdict.committed, verdict.records, verdict.duplicates
        ));
        verdict.ensure_sound()?;
        if topic == of {
            logs.insert(topic, log);
        }
    }
    // The log tells more of what is wrong, so it is asked first.
    drained?;
    replicas.have_applied(&logs).await;
    ended_well(consumer).await?;
    replicas.ensure_equal(&database.pool).await
}

async fn ended_well(mut process: Process) -> Result<()> {
    let code = process.terminate(Duration::from_secs(10)).await?;
    ensure!(code == 0, "a process ended with {code}");
    Ok(())
}

/// Runs a consumer, kills it at a drawn moment before `end`, and starts another one, which is returned.
async fn kill_once(replicas: &Replicas, mut rng: StdRng, end: Instant) -> Result<Process> {
    let running = replicas.start()?;
    let span = end - Instant::now();
    sleep_until(end - span.mul_f64(rng.random_range(0.3..0.7))).await;
    if broker_is_embedded() {
        // It waits for ever for a member that died without a word.
        ended_well(running).await?;
    } else {
        running.kill().await?;
    }
    replicas.start()
}

/// Runs a relay until `end`, killed at drawn moments and started again at once. Returns the last one, and when the others were killed.
async fn kill_again_and_again(
    relay: RelayProcess,
    mut rng: StdRng,
    end: Instant,
) -> Result<(Process, Vec<i64>)> {
    let mut faults_ms = Vec::new();
    let mut running = relay.start()?;
    let span = (end - Instant::now()) / (KILLS + 1);
    let start = Instant::now();
    for kill in 0..KILLS {
        let within = Duration::from_millis(rng.random_range(0..700));
        sleep_until(start + span * (kill + 1) - span / 4 + within).await;
        running.kill().await?;
        faults_ms.push(now_ms());
        running = relay.start()?;
    }
    Ok((running, faults_ms))
}
