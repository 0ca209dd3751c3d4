//! A restart inside a window of a million rows goes on inside it, with memory that does not grow with the window.

use std::time::Duration;

use anyhow::{Result, ensure};
use dionysus_e2e::{
    History, Process, RelayProcess, Verdict, alone, committed, drained, eventually_within, figure,
    now_ms, read_log,
};
use dionysus_embedded::testing;
use dionysus_postgres::topics::{self, Registration};
use dionysus_testing::TestDatabase;
use sqlx::{PgConnection, query, query_as, query_scalar};
use tokio::time::{Instant, sleep};

const ROWS: i64 = 1_000_000;
const KEYS: i64 = 5_000;

/// Rows of the window with two streams: half of them written by one long transaction, half by many short ones meanwhile.
const INTERLEAVED: i64 = 200_000;

const MEMORY_MAX: u64 = 150 << 20;
/// What a relay publishes in a second or so: its place is stored that often.
const REPEATED_MAX: usize = 400_000;
const LIMIT: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_inside_a_million_rows_goes_on_inside_them() -> Result<()> {
    let _turn = alone().await;
    let scene = Scene::set().await?;
    let mut conn = scene.database.pool.acquire().await?;
    let started = Instant::now();
    scene.append(&mut conn, "a", ROWS).await?;
    figure(format_args!("{ROWS} rows appended by one statement in {:.1?}", started.elapsed()));
    // At once when its place was stored: what it stands for must be in Kafka by then.
    scene.kill_inside(30, Duration::ZERO).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_inside_two_merged_streams_goes_on_inside_them() -> Result<()> {
    let _turn = alone().await;
    let scene = Scene::set().await?;
    let mut conn = scene.database.pool.acquire().await?;
    // The cursor that is stored lists the long transaction as in progress.
    let mut long = scene.database.pool.begin().await?;
    scene.append(&mut long, "b", 1).await?;
    scene.append(&mut conn, "a", 1).await?;
    let mut relay = scene.relay()?;
    drained(&scene.database.pool, LIMIT).await?;
    ensure!(relay.terminate(Duration::from_secs(10)).await? == 0, "the relay did not end well");
    for _ in 0..10 {
        scene.append(&mut long, "b", INTERLEAVED / 20).await?;
        scene.append(&mut conn, "a", INTERLEAVED / 20).await?;
    }
    long.commit().await?;
    // Between two checkpoints, so that some is repeated.
    scene.kill_inside(1, Duration::from_millis(500)).await
}

struct Scene {
    database: TestDatabase,
    brokers: String,
    topic: String,
}

impl Scene {
    async fn set() -> Result<Self> {
        let database = TestDatabase::new().await;
        let (brokers, topic) = (testing::brokers().await, testing::topic("v3_rentals"));
        let registration = Registration {
            name: topic.clone(),
            namespace: "v3".into(),
            genesis_replica: false,
            topology: serde_json::json!({}),
        };
        let mut conn = database.pool.acquire().await?;
        topics::register(&mut conn, &[registration]).await?;
        Ok(Self { database, brokers, topic })
    }

    fn relay(&self) -> Result<Process> {
        RelayProcess::new(&self.database.url, &self.brokers).start()
    }

    /// Runs a relay, kills it this long after its stored place has passed so many hundredths of the window, lets another one finish, and
    /// checks what lies in the log.
    async fn kill_inside(&self, percent: i64, after: Duration) -> Result<()> {
        let mut memory = [0; 2];
        let relay = self.relay()?;
        let (first, last) = self.window().await?;
        let inside = first + (last - first) * percent / 100;
        let place = eventually_within(LIMIT, "the relay to be inside the window", || async {
            self.place().await.ok()?.filter(|place| *place > inside)
        })
        .await;
        sleep(after).await;
        memory[0] = relay.peak_memory()?;
        relay.kill().await?;
        let killed_ms = now_ms();
        ensure!(self.place().await?.is_some(), "the relay was through before it could be killed");

        let started = Instant::now();
        let mut relay = self.relay()?;
        drained(&self.database.pool, LIMIT).await?;
        let rate = (last - place) * 1_000 / i64::try_from(started.elapsed().as_millis())?;
        memory[1] = relay.peak_memory()?;
        ensure!(relay.terminate(Duration::from_secs(10)).await? == 0, "the relay did not end well");

        let verdict = self.verdict(killed_ms).await?;
        figure(format_args!(
            "killed at {} of {} rows, {} repeated; then {rate} rows/s, start and lease included; peak memory {} and {} MiB",
            place - first,
            verdict.committed,
            verdict.duplicates,
            memory[0] >> 20,
            memory[1] >> 20
        ));
        verdict.ensure_sound()?;
        ensure!(verdict.duplicates < REPEATED_MAX, "{} records were repeated", verdict.duplicates);
        ensure!(memory[0].max(memory[1]) < MEMORY_MAX, "the relay took too much memory");
        Ok(())
    }

    async fn verdict(&self, killed_ms: i64) -> Result<Verdict> {
        let committed = committed(&self.database.pool, &self.topic).await?;
        let log = read_log(&self.brokers, &self.topic).await?;
        Ok(History { committed: &committed, log: &log, faults_ms: &[killed_ms] }.check())
    }

    /// The first and the last number that the stored cursor has not passed.
    async fn window(&self) -> Result<(i64, i64)> {
        Ok(query_as(
            "select min(seq), max(seq) from dionysus.outbox o, dionysus.lanes l
             where not pg_visible_in_snapshot(o.xid, l.cursor)",
        )
        .fetch_one(&self.database.pool)
        .await?)
    }

    /// The stored place inside a window.
    async fn place(&self) -> Result<Option<i64>> {
        let place = query_scalar("select window_seq from dionysus.lanes");
        Ok(place.fetch_one(&self.database.pool).await?)
    }

    /// Rows of keys that begin with `prefix`, so that no two transactions share a key: nothing locks instances here.
    async fn append(&self, conn: &mut PgConnection, prefix: &str, rows: i64) -> Result<()> {
        query(
            r#"insert into dionysus.outbox (event_id, topic, key, partition_key, event, model, model_id, payload)
               select gen_random_uuid(), $1, 'Rental:' || $2 || n % $4, n % $4 % 97, 'rental_updated', 'Rental', $2 || n % $4,
                      convert_to('{"message":[{"event":"rental_updated","model_name":"Rental","data":[{"id":' || n || ',"links":{}}]}]}', 'UTF8')
               from generate_series(1, $3) as n"#,
        )
        .bind(&self.topic)
        .bind(prefix)
        .bind(rows)
        .bind(KEYS)
        .execute(conn)
        .await?;
        Ok(())
    }
}
