//! The torture test of the cursor: many writers, a relay that is killed again and again, then the raw log.

mod schedule;
mod writer;

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{
    History, RelayProcess, Seed, alone, committed, connect, drained, figure, migrated_database,
    now_ms, read_log,
};
use dionysus_embedded::testing;
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::models::{create_tables, topics, topology};
use writer::{Tally, write};

const WRITERS: u32 = 24;
const DURATION: Duration = Duration::from_secs(20);
const KILLS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_inverted_while_the_relay_is_killed_again_and_again() -> Result<()> {
    let _turn = alone().await;
    let seed = Seed::of_run();
    let database = migrated_database().await?;
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
    let mut tally = Tally::default();
    while let Some(done) = writers.join_next().await {
        tally += done??;
    }
    let (mut relay, faults_ms) = killing.await??;
    drained(&database.pool, Duration::from_secs(30)).await;
    let code = relay.terminate(Duration::from_secs(5)).await?;
    ensure!(code == 0, "the relay ended with {code}");

    figure(format_args!("{tally:?}"));
    ensure!(
        tally.commits > 500 && tally.roll_backs > 50 && tally.early > 100,
        "too little was written"
    );
    for (topic, of) in topics(&namespace) {
        let (committed, log) =
            (committed(&database.pool, &of).await?, read_log(&brokers, &topic).await?);
        let verdict = History { committed: &committed, log: &log, faults_ms: &faults_ms }.check();
        figure(format_args!(
            "{topic}: {} rows, {} records, {} repeated",
            verdict.committed, verdict.records, verdict.duplicates
        ));
        verdict.ensure_sound()?;
    }
    Ok(())
}

/// Runs a relay until `end`, killed at drawn moments and started again at once. Returns the last one, and when the others were killed.
async fn kill_again_and_again(
    relay: RelayProcess,
    mut rng: StdRng,
    end: Instant,
) -> Result<(dionysus_e2e::Process, Vec<i64>)> {
    let mut faults_ms = Vec::new();
    let mut running = relay.start()?;
    let span = (end - Instant::now()) / (KILLS + 1);
    let start = Instant::now();
    for kill in 0..KILLS {
        let within = Duration::from_millis(rng.random_range(0..1_500));
        sleep_until(start + span * (kill + 1) - span / 4 + within).await;
        running.kill().await?;
        faults_ms.push(now_ms());
        running = relay.start()?;
    }
    Ok((running, faults_ms))
}
