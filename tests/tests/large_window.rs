//! A restart inside a window of a million rows goes on inside it, with memory that does not grow with the window.

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus_e2e::{
    History, MigratedDatabase, Process, RelayProcess, Verdict, alone, committed, drained,
    eventually_within, figure, migrated_database, now_ms, read_log,
};
use dionysus_embedded::testing;
use dionysus_postgres::topics::{self, Registration};
use sqlx::{PgConnection, query, query_scalar};
use tokio::time::{Instant, sleep};

const ROWS: i64 = 1_000_000;
const KEYS: i64 = 5_000;

/// Rows of the second window: half of them written by one long transaction, half by many short ones meanwhile.
const INTERLEAVED: i64 = 200_000;

const MEMORY_MAX: u64 = 150 << 20;
/// What a relay publishes in a second or so: its place is stored that often.
const REPEATED_MAX: usize = 400_000;
const LIMIT: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_inside_a_large_window_goes_on_inside_it() -> Result<()> {
    let _turn = alone().await;
    let database = migrated_database().await?;
    let (brokers, topic) = (testing::brokers().await, testing::topic("v3_rentals"));
    let mut conn = database.pool.acquire().await?;
    register(&mut conn, &topic).await?;
    let mut scene = Scene { database, brokers, topic, kills_ms: Vec::new() };

    let started = Instant::now();
    append(&mut conn, &scene.topic, "a", ROWS).await?;
    figure(format_args!("{ROWS} rows appended by one statement in {:.1?}", started.elapsed()));
    let verdict = scene.kill_inside(25).await?;
    report("one transaction", &verdict);
    verdict.ensure_sound()?;
    ensure!(verdict.duplicates < REPEATED_MAX, "{} records were repeated", verdict.duplicates);

    // The cursor lists the long transaction as in progress, so the next window has two streams.
    let mut long = scene.database.pool.begin().await?;
    append(&mut long, &scene.topic, "b", 1).await?;
    append(&mut conn, &scene.topic, "a", 1).await?;
    let mut relay = scene.relay()?;
    drained(&scene.database.pool, LIMIT).await;
    ensure!(relay.terminate(Duration::from_secs(10)).await? == 0, "the relay did not end well");
    for _ in 0..10 {
        append(&mut long, &scene.topic, "b", INTERLEAVED / 20).await?;
        append(&mut conn, &scene.topic, "a", INTERLEAVED / 20).await?;
    }
    long.commit().await?;
    let verdict = scene.kill_inside(1).await?;
    report("one long transaction among short ones", &verdict);
    verdict.ensure_sound()?;
    ensure!(verdict.duplicates < 2 * REPEATED_MAX, "{} records were repeated", verdict.duplicates);
    Ok(())
}

fn report(what: &str, verdict: &Verdict) {
    figure(format_args!(
        "{what}: {} rows in all, {} repeated",
        verdict.committed, verdict.duplicates
    ));
}

struct Scene {
    database: MigratedDatabase,
    brokers: String,
    topic: String,
    kills_ms: Vec<i64>,
}

impl Scene {
    fn relay(&self) -> Result<Process> {
        RelayProcess::new(&self.database.url, &self.brokers).start()
    }

    /// Runs a relay, kills it when its stored place has passed so many hundredths of the window, and lets another one finish.
    async fn kill_inside(&mut self, percent: i64) -> Result<Verdict> {
        let relay = self.relay()?;
        let (first, last) = self.window().await?;
        let inside = first + (last - first) * percent / 100;
        let killed_at = eventually_within(LIMIT, "the relay to be inside the window", || async {
            let place: Option<i64> = self.place().await.ok()?;
            place.filter(|place| *place > inside)
        })
        .await;
        // Not just behind a checkpoint, or hardly anything would be repeated.
        sleep(Duration::from_millis(500)).await;
        let memory = relay.peak_memory()?;
        relay.kill().await?;
        self.kills_ms.push(now_ms());
        ensure!(self.place().await?.is_some(), "the relay was through before it could be killed");

        let started = Instant::now();
        let mut relay = self.relay()?;
        drained(&self.database.pool, LIMIT).await;
        let rate = (last - killed_at) * 1_000 / i64::try_from(started.elapsed().as_millis())?;
        let memory_after = relay.peak_memory()?;
        ensure!(relay.terminate(Duration::from_secs(10)).await? == 0, "the relay did not end well");
        figure(format_args!(
            "killed after {} of {} rows; then {rate} rows/s, start and lease included; peak memory {} and {} MiB",
            killed_at - first,
            last - first,
            memory >> 20,
            memory_after >> 20
        ));
        ensure!(memory.max(memory_after) < MEMORY_MAX, "the relay took too much memory");

        let started = Instant::now();
        let (committed, log) = (
            committed(&self.database.pool, &self.topic).await?,
            read_log(&self.brokers, &self.topic).await?,
        );
        figure(format_args!("both sides read in {:.1?}", started.elapsed()));
        Ok(History { committed: &committed, log: &log, faults_ms: &self.kills_ms }.check())
    }

    /// The first and the last number that the stored cursor has not passed.
    async fn window(&self) -> Result<(i64, i64)> {
        Ok(sqlx::query_as(
            "select min(seq), max(seq) from dionysus.outbox o, dionysus.lanes l where not pg_visible_in_snapshot(o.xid, l.cursor)",
        )
        .fetch_one(&self.database.pool)
        .await?)
    }

    async fn place(&self) -> Result<Option<i64>> {
        Ok(query_scalar("select window_seq from dionysus.lanes")
            .fetch_one(&self.database.pool)
            .await?)
    }
}

async fn register(conn: &mut PgConnection, topic: &str) -> Result<()> {
    let topology = serde_json::json!({});
    let registration = Registration {
        name: topic.to_owned(),
        namespace: "v3".into(),
        genesis_replica: false,
        topology,
    };
    Ok(topics::register(conn, &[registration]).await?)
}

/// Rows of keys that begin with `prefix`, so that no two transactions share a key: nothing locks instances here.
async fn append(conn: &mut PgConnection, topic: &str, prefix: &str, rows: i64) -> Result<()> {
    query(
        r#"insert into dionysus.outbox (event_id, topic, key, partition_key, event, model, model_id, payload)
           select gen_random_uuid(), $1, 'Rental:' || $2 || n % $4, n % $4 % 97, 'rental_updated', 'Rental', $2 || n % $4,
                  convert_to('{"message":[{"event":"rental_updated","model_name":"Rental","data":[{"id":' || n || ',"links":{}}]}]}', 'UTF8')
           from generate_series(1, $3) as n"#,
    )
    .bind(topic)
    .bind(prefix)
    .bind(rows)
    .bind(KEYS)
    .execute(conn)
    .await?;
    Ok(())
}
