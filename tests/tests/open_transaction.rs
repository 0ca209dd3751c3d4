//! A transaction that stays open delays no other row, and the outbox is insert-only.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::{Outbox, Relay, RelayOptions};
use dionysus_e2e::{
    History, alone, committed, connect, drained, eventually, figure, now_ms, read_log,
};
use dionysus_embedded::testing;
use dionysus_testing::TestDatabase;
use sqlx::{PgPool, query_as, query_scalar};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::models::{Rental, create_tables, topics, topology};

const WRITERS: i64 = 8;
const DURATION: Duration = Duration::from_secs(5);

/// From a commit to the hand-over to the Kafka client. A row that waited for the open transaction would take seconds.
const DELAY_MAX_MS: i64 = 2_000;

/// Ids of the rentals of the transaction that stays open.
const HELD: i64 = 0;

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_held_open_delays_no_other_row_and_no_row_is_ever_updated() -> Result<()> {
    let _turn = alone().await;
    let database = TestDatabase::new().await;
    create_tables(&database.pool).await?;
    let brokers = testing::brokers().await;
    let namespace = testing::topic("v3");
    let pool = connect(&database.url, 16).await?;
    let outbox = Outbox::connect(pool.clone(), topology(&namespace)?).await?;
    let stop = CancellationToken::new();
    let relay = Relay::new(database.url.parse()?, &brokers, RelayOptions::default())?;
    let signals = relay.signals();
    let relay = tokio::spawn(relay.run(stop.clone()));
    signals.claimed.reached(3).await;

    // It has drawn its id and its numbers before all others.
    let mut held = pool.begin().await?;
    let mut stage = outbox.stage();
    stage.created(&insert(&mut held, HELD).await?)?;
    stage.write(&mut held).await?;

    let committed_ms = write(&outbox).await?;
    let topic = &topics(&namespace)[0].0;
    let written = committed_ms.len();
    signals.handed_over.reached(written.try_into()?).await;
    let log = eventually("all other rows in the log", || async {
        let log = read_log(&brokers, topic).await.ok()?;
        (log.len() >= written).then_some(log)
    })
    .await;
    let rows = committed(&pool, topic).await?;
    History { committed: &rows, log: &log, faults_ms: &[] }.check().ensure_sound()?;
    let delays = delays(&committed_ms, &log)?;
    figure(format_args!(
        "{written} rows beside an open transaction, commit to hand-over: {delays}"
    ));
    ensure!(delays.longest < DELAY_MAX_MS, "rows were delayed: {delays}");

    held.commit().await?;
    outbox.wake_up();
    drained(&pool, Duration::from_secs(10)).await?;
    let (rows, log) = (committed(&pool, topic).await?, read_log(&brokers, topic).await?);
    let verdict = History { committed: &rows, log: &log, faults_ms: &[] }.check();
    verdict.ensure_sound()?;
    ensure!((verdict.records, verdict.duplicates) == (written + 1, 0), "{verdict:?}");

    stop.cancel();
    relay.await??;
    insert_only(&pool).await
}

/// Each writer inserts rentals one after the other; returns when each was committed, by key.
async fn write(outbox: &Outbox) -> Result<HashMap<String, i64>> {
    let end = Instant::now() + DURATION;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let outbox = outbox.clone();
        writers.spawn(async move {
            let mut committed_ms = Vec::new();
            for id in (HELD + 1 + writer..).step_by(usize::try_from(WRITERS)?) {
                let mut tx = outbox.begin().await?;
                let rental = insert(&mut tx, id).await?;
                tx.created(&rental)?;
                tx.commit().await?;
                committed_ms.push((format!("Rental:{id}"), now_ms()));
                if Instant::now() > end {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(committed_ms)
        });
    }
    let mut all = HashMap::new();
    while let Some(done) = writers.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}

async fn insert(conn: &mut sqlx::PgConnection, id: i64) -> sqlx::Result<Rental> {
    query_as("insert into rentals (id, account_id, name, revision) values ($1, 7, 'Villa', 1) returning *")
        .bind(id)
        .fetch_one(conn)
        .await
}

/// In milliseconds.
struct Delays {
    median: i64,
    p99: i64,
    longest: i64,
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "median {} ms, p99 {} ms, longest {} ms", self.median, self.p99, self.longest)
    }
}

fn delays(committed_ms: &HashMap<String, i64>, log: &[dionysus_e2e::LogRecord]) -> Result<Delays> {
    let delay = |record: &dionysus_e2e::LogRecord| {
        let committed = committed_ms
            .get(&record.key)
            .with_context(|| format!("{} was not committed", record.key))?;
        Ok(record.timestamp_ms - committed)
    };
    let mut delays: Vec<_> = log.iter().map(delay).collect::<Result<_>>()?;
    delays.sort_unstable();
    let at = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    Ok(Delays { median: at(50), p99: at(99), longest: at(100) })
}

/// The sums over the leaves, once the statistics have come to hold all rows.
async fn insert_only(pool: &PgPool) -> Result<()> {
    let rows: i64 = query_scalar("select count(*) from dionysus.outbox").fetch_one(pool).await?;
    let (inserted, updated, deleted) = eventually("the statistics to cover all rows", || async {
        let sums: (i64, i64, i64) = query_as(
            "select sum(n_tup_ins)::bigint, sum(n_tup_upd)::bigint, sum(n_tup_del)::bigint
             from pg_partition_tree('dionysus.outbox') t join pg_stat_user_tables s on s.relid = t.relid where t.isleaf",
        )
        .fetch_one(pool)
        .await
        .ok()?;
        (sums.0 >= rows).then_some(sums)
    })
    .await;
    figure(format_args!(
        "{rows} rows: {inserted} inserts, {updated} updates, {deleted} deletes over all leaves"
    ));
    ensure!((updated, deleted) == (0, 0), "the outbox is not insert-only");
    Ok(())
}
