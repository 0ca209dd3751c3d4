//! Rows that Kafka refuses are set aside with the later rows of their keys; everything else flows, and people decide.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::Outbox;
use dionysus_e2e::{
    Process, alone, broker_is_embedded, eventually, figure, free_address, http_get, metric, now_ms,
    read_log,
};
use dionysus_embedded::testing;
use dionysus_kafka::{Admin, ClientConfig, NewTopic};
use dionysus_postgres::quarantine::{self, Entry, Request, Target};
use dionysus_testing::TestDatabase;
use sqlx::{AssertSqlSafe, PgPool, query_as};

use crate::models::{Booking, create_tables, topology};

const LIMIT_BYTES: usize = 2_000;

/// A narrow topic, a relay that writes to it, and what it says.
struct Scene {
    database: TestDatabase,
    outbox: Outbox,
    brokers: String,
    topic: String,
    admin: Admin,
    log: tempfile::NamedTempFile,
}

impl Scene {
    async fn new(limit: usize) -> Result<Self> {
        Self::with(settings(limit)).await
    }

    async fn with(config: BTreeMap<String, String>) -> Result<Self> {
        let database = TestDatabase::new().await;
        create_tables(&database.pool).await?;
        let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
        let outbox = Outbox::connect(database.pool.clone(), topology(&namespace)?).await?;
        let topic = format!("{namespace}_bookings");
        let admin = Admin::new(&ClientConfig::new(&brokers))?;
        admin
            .create_topics(&[NewTopic {
                name: topic.clone(),
                partitions: 3,
                replication: 1,
                config,
            }])
            .await?;
        let log = tempfile::NamedTempFile::new()?;
        Ok(Self { database, outbox, brokers, topic, admin, log })
    }

    fn relay(&self) -> Result<Process> {
        self.relay_with(&[])
    }

    fn relay_with(&self, more: &[(&str, &str)]) -> Result<Process> {
        let variables = [
            ("DATABASE_URL", &*self.database.url),
            ("KAFKA_BROKERS", &*self.brokers),
            ("DIONYSUS_RELAY__LEASE_TTL", "6s"),
        ];
        let variables = [&variables, more].concat();
        Process::start_logging("outbox-relay", &[], &variables, self.log.path())
    }

    fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.log.path())?)
    }

    /// Runs `dionysus quarantine`; what it printed.
    async fn decide(&self, arguments: &[&str]) -> Result<String> {
        let arguments = [&["quarantine"], arguments].concat();
        let variables = [("DATABASE_URL", &*self.database.url)];
        let done = Process::run("dionysus", &arguments, &variables, Duration::from_mins(2)).await?;
        ensure!(done.code == 0, "{arguments:?}: {done:?}\n{}", self.said()?);
        Ok(done.stdout)
    }

    /// `key@revision` of each record, in the order of each partition.
    async fn published(&self) -> Result<Vec<String>> {
        let log = read_log(&self.brokers, &self.topic).await?;
        let name = |record: &dionysus_e2e::LogRecord| -> Result<String> {
            let value: serde_json::Value = serde_json::from_slice(&record.payload)?;
            let revision = &value["message"][0]["data"][0]["revision"];
            Ok(format!("{}@{revision}", record.key))
        };
        log.iter().map(name).collect()
    }

    /// In the order of their first appearance: a busy machine may repeat records.
    async fn revisions(&self, id: i64) -> Result<Vec<String>> {
        let key = format!("Booking:{id}@");
        let mut revisions: Vec<String> = Vec::new();
        for revision in self.published().await?.iter().filter_map(|it| it.strip_prefix(&key)) {
            if !revisions.iter().any(|known| known == revision) {
                revisions.push(revision.to_owned());
            }
        }
        Ok(revisions)
    }

    async fn reaches(&self, id: i64, revisions: &[&str]) {
        eventually(&format!("Booking:{id} at {revisions:?}"), || async {
            let found = self.revisions(id).await.ok()?;
            (found == revisions).then_some(())
        })
        .await;
    }

    async fn quarantined(&self, rows: usize) -> Vec<Entry> {
        eventually(&format!("{rows} rows in quarantine"), || async {
            let found = quarantine::list(&self.database.pool, None, true, 100).await.ok()?;
            (found.len() == rows).then_some(found)
        })
        .await
    }
}

fn settings(limit: usize) -> BTreeMap<String, String> {
    [("max.message.bytes".to_owned(), limit.to_string())].into()
}

async fn book(outbox: &Outbox, id: i64, bytes: usize, revision: i64) -> Result<()> {
    let mut tx = outbox.begin().await?;
    let booking: Booking = query_as(
        "insert into bookings values ($1, $1, $2, $3) on conflict (id) do update set name = excluded.name, revision = excluded.revision returning *",
    )
    .bind(id)
    .bind("x".repeat(bytes))
    .bind(revision)
    .fetch_one(&mut *tx)
    .await?;
    tx.updated(&booking)?;
    Ok(tx.commit().await?)
}

async fn ask(pool: &PgPool, topic: &str, target: Target<'_>, request: Request) -> Result<()> {
    let rows = quarantine::request(pool, topic, target, request).await?;
    ensure!(!rows.is_empty(), "nothing to {}", request.as_str());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_holds_its_key_alone_and_goes_on_in_order_when_people_say_so() -> Result<()> {
    let _turn = alone().await;
    let scene = Scene::new(LIMIT_BYTES).await?;
    let (pool, topic) = (&scene.database.pool, &scene.topic);
    let relay = scene.relay()?;
    let large = 2 * LIMIT_BYTES;
    for (id, bytes, revision) in
        [(1, 1, 1), (2, 1, 1), (2, large, 2), (2, 1, 3), (3, large, 1), (3, 1, 2), (1, 1, 2)]
    {
        book(&scene.outbox, id, bytes, revision).await?;
    }
    scene.reaches(1, &["1", "2"]).await;
    let held = scene.quarantined(4).await;
    let revisions = (scene.revisions(2).await?, scene.revisions(3).await?);
    ensure!(revisions.0 == ["1"] && revisions.1.is_empty(), "{revisions:?}\n{}", scene.said()?);
    let refused: Vec<_> = held.iter().filter(|row| row.cause.is_some()).collect();
    ensure!(refused.len() == 2 && refused.iter().all(|row| row.bytes > 4_000), "{held:?}");

    // A key is held across a restart, and by a new owner; SIGKILL, so that nothing is handed over.
    relay.kill().await?;
    let mut relay = scene.relay()?;
    book(&scene.outbox, 2, 1, 4).await?;
    book(&scene.outbox, 1, 1, 3).await?;
    scene.reaches(1, &["1", "2", "3"]).await;
    scene.quarantined(5).await;

    // A retry that is refused again changes nothing but the count.
    ask(pool, topic, Target::Key("Booking:2"), Request::Retry).await?;
    let tried = eventually("another try", || async {
        let all = quarantine::list(pool, None, false, 100).await.ok()?;
        all.into_iter().find(|row| row.key == "Booking:2" && row.attempts == 1)
    })
    .await;
    ensure!(tried.request.is_none() && tried.retry_at.is_some(), "{tried:?}");
    let revisions = scene.revisions(2).await?;
    ensure!(revisions == ["1"], "{revisions:?}\n{}", scene.said()?);

    // Skipped: what lies behind it goes on, in order. Dropped: all of the key that is held.
    ask(pool, topic, Target::Row(tried.seq), Request::Skip).await?;
    scene.reaches(2, &["1", "3", "4"]).await;
    ask(pool, topic, Target::Key("Booking:3"), Request::Drop).await?;
    scene.quarantined(0).await;
    book(&scene.outbox, 3, 1, 9).await?;
    scene.reaches(3, &["9"]).await;

    // Mended: the topic takes more than before.
    book(&scene.outbox, 5, large, 1).await?;
    book(&scene.outbox, 5, 1, 2).await?;
    scene.quarantined(2).await;
    scene.admin.replace_settings(topic, &settings(100_000)).await?;
    ask(pool, topic, Target::All, Request::Retry).await?;
    scene.reaches(5, &["1", "2"]).await;
    scene.quarantined(0).await;
    book(&scene.outbox, 5, large, 3).await?;
    scene.reaches(5, &["1", "2", "3"]).await;

    let code = relay.terminate(Duration::from_secs(10)).await?;
    let said = std::fs::read_to_string(scene.log.path())?;
    for text in ["row refused, set aside", "remedy", "quarantine list"] {
        ensure!(said.contains(text), "no word of `{text}`:\n{said}");
    }
    ensure!(code == 0 && !said.contains("panicked"), "exit code {code}:\n{said}");
    ensure!(!said.contains("xxx") && !said.contains("Booking:"), "payload or key in the log");
    Ok(())
}

/// The relay does not know that the limit was lowered: the broker refuses a whole batch, and the careful client finds the row.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_refuses_with_its_batch_is_found_and_set_aside_alone() -> Result<()> {
    let _turn = alone().await;
    let scene = Scene::new(100_000).await?;
    let mut relay = scene.relay()?;
    book(&scene.outbox, 1, 1, 1).await?;
    scene.reaches(1, &["1"]).await;
    scene.admin.replace_settings(&scene.topic, &settings(LIMIT_BYTES)).await?;
    // One transaction, so one window, and batches of several rows.
    let mut tx = scene.outbox.begin().await?;
    let bookings: Vec<Booking> = query_as(
        "insert into bookings select n, n, repeat('x', case when n = 50 then 4000 else 1 end), 2 from generate_series(2, 99) n returning *",
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.created_all(&bookings)?;
    tx.commit().await?;
    let started = now_ms();
    let held = scene.quarantined(1).await;
    ensure!(held[0].key == "Booking:50" && held[0].cause.is_some(), "{held:?}");
    let others = eventually("all others", || async {
        let published = scene.published().await.ok()?;
        let keys: BTreeSet<_> = published.into_iter().collect();
        (keys.len() == 98).then_some(keys)
    })
    .await;
    ensure!(!others.iter().any(|it| it.starts_with("Booking:50@")));
    figure(format_args!("a refused batch sorted out after {} ms", now_ms() - started));
    // Past what was in doubt the lane is an ordinary one again.
    for revision in 3..6 {
        book(&scene.outbox, 1, 1, revision).await?;
    }
    scene.reaches(1, &["1", "3", "4", "5"]).await;
    let code = relay.terminate(Duration::from_secs(10)).await?;
    ensure!(code == 0, "exit code {code}:\n{}", std::fs::read_to_string(scene.log.path())?);
    Ok(())
}

/// The issue's figure: one oversize row among many delays no other key.
#[tokio::test(flavor = "multi_thread")]
async fn an_oversize_row_among_many_delays_no_other_key() -> Result<()> {
    const ROWS: i64 = 20_000;
    let _turn = alone().await;
    let scene = Scene::new(LIMIT_BYTES).await?;
    let mut tx = scene.outbox.begin().await?;
    let bookings: Vec<Booking> = query_as(
        "insert into bookings select n, n, repeat('x', case when n = $1 / 2 then 4000 else 1 end), 1 from generate_series(1, $1) n returning *",
    )
    .bind(ROWS)
    .fetch_all(&mut *tx)
    .await?;
    tx.created_all(&bookings)?;
    tx.commit().await?;
    let mut relay = scene.relay()?;
    scene.quarantined(1).await;
    let log = eventually("all others", || async {
        let log = read_log(&scene.brokers, &scene.topic).await.ok()?;
        let keys: BTreeSet<_> = log.iter().map(|record| &record.key).collect();
        (i64::try_from(keys.len()).ok()? == ROWS - 1).then_some(log)
    })
    .await;
    let (first, last) = log
        .iter()
        .map(|record| record.timestamp_ms)
        .fold((i64::MAX, 0), |(first, last), at| (first.min(at), last.max(at)));
    figure(format_args!(
        "{} rows around an oversize one in {} ms, {} repeated",
        ROWS - 1,
        last - first,
        i64::try_from(log.len())? - (ROWS - 1)
    ));
    let code = relay.terminate(Duration::from_secs(10)).await?;
    ensure!(code == 0, "exit code {code}");
    let held = scene.quarantined(1).await;
    held.first().context("a row")?;
    Ok(())
}

/// What is kept back is bounded: one row more stops the lane, which says so, until there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_quarantine_stops_its_lane_visibly_until_there_is_room() -> Result<()> {
    let _turn = alone().await;
    let scene = Scene::new(LIMIT_BYTES).await?;
    let (topic, address) = (&scene.topic, free_address()?);
    let mut relay = scene.relay_with(&[
        ("DIONYSUS_RELAY__QUARANTINE_MAX", "2"),
        ("DIONYSUS_HTTP__LISTEN", &address),
        ("DIONYSUS_HTTP__UNREADY_AFTER", "3s"),
    ])?;
    let large = 2 * LIMIT_BYTES;
    for (id, bytes, revision) in [(1, 1, 1), (2, large, 1), (3, large, 1), (4, large, 1), (1, 1, 2)]
    {
        book(&scene.outbox, id, bytes, revision).await?;
    }
    let held = scene.quarantined(2).await;
    ensure!(held.iter().all(|row| row.key != "Booking:4"), "{held:?}");
    let full = format!("the quarantine of lane `{topic}` is full with 2 rows");
    let body = eventually("an unready relay", || async {
        let (status, body) = http_get(&address, "/readyz").await.ok()?;
        (status == 503 && body.contains("stands still")).then_some(body)
    })
    .await;
    ensure!(body.contains(&full), "{body}");
    let quarantined = format!("dionysus_relay_quarantined_rows{{topic=\"{topic}\"}}");
    ensure!(metric(&address, &quarantined).await? == Some(2), "not counted");
    let said = scene.said()?;
    for text in [&*full, "row refused, lane stopped", "`retry`", "`skip`", "quarantine_max"] {
        ensure!(said.contains(text), "no word of `{text}`:\n{said}");
    }
    ensure!(scene.revisions(1).await? == ["1"], "a row behind the one that stops the lane");

    // Skipped rows make room: the row that stopped the lane is set aside, and what lies behind flows.
    let skip = ["skip", topic, "--key", "Booking:2", "--yes", "--wait=2m"];
    let done = scene.decide(&skip).await?;
    ensure!(done == format!("1 row of {topic} will never be published\n"), "{done}");
    scene.reaches(1, &["1", "2"]).await;
    ensure!(scene.quarantined(2).await[1].key == "Booking:4");

    // So does a retry, while the lane stands still.
    book(&scene.outbox, 5, large, 1).await?;
    book(&scene.outbox, 1, 1, 3).await?;
    eventually("a lane that stands still again", || async {
        (scene.said().ok()?.matches(&full).count() >= 2
            && scene.revisions(1).await.ok()?.len() == 2)
            .then_some(())
    })
    .await;
    scene.admin.replace_settings(topic, &settings(100_000)).await?;
    let done = scene.decide(&["retry", topic, "--all", "--wait=2m"]).await?;
    ensure!(done == format!("2 rows of {topic} were published\n"), "{done}");
    for (id, revisions) in
        [(1, &["1", "2", "3"][..]), (2, &[]), (3, &["1"]), (4, &["1"]), (5, &["1"])]
    {
        scene.reaches(id, revisions).await;
    }
    eventually("a ready relay", || async {
        (http_get(&address, "/readyz").await.ok()?.0 == 200).then_some(())
    })
    .await;
    ensure!(metric(&address, &quarantined).await? == Some(0), "still counted");
    let published = format!("dionysus_relay_rows_published_total{{topic=\"{topic}\"}}");
    let published = metric(&address, &published).await?.unwrap_or(0);
    ensure!(published >= 6, "{published}: what left the quarantine counts as published");
    ensure!(relay.terminate(Duration::from_secs(10)).await? == 0);
    Ok(())
}

/// A topic that takes messages of 5 MB, with segments of 1 MiB: what is larger than these only the broker can know.
fn narrow_segments() -> BTreeMap<String, String> {
    let mut config = settings(5_000_000);
    config.insert("segment.bytes".to_owned(), (1 << 20).to_string());
    config
}

/// Appends a row for each revision of each key, by revision; those of which `is_large` (an SQL condition) is true no segment holds.
async fn append(
    scene: &Scene,
    keys: std::ops::Range<i64>,
    revisions: i64,
    is_large: &str,
) -> Result<()> {
    let sql = format!(
        r#"insert into dionysus.outbox (event_id, topic, key, event, model, model_id, payload)
           select gen_random_uuid(), $1, 'Booking:' || id, 'booking_updated', 'Booking', id::text,
                  convert_to('{{"message":[{{"event":"booking_updated","model_name":"Booking","data":[{{"id":' || id || ',"revision":' || revision ||
                             ',"name":"' || repeat('x', case when {is_large} then 1200000 else 10 end) || '"}}]}}]}}', 'UTF8')
           from generate_series(0, $2 - 1) revision, generate_series($3, $4 - 1) id order by revision, id"#
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(&scene.topic)
        .bind(revisions)
        .bind(keys.start)
        .bind(keys.end)
        .execute(&scene.database.pool)
        .await?;
    Ok(())
}

/// What only a broker can know: a message that fits the topic's limit and not its segments. The rows of a batch are sent one by one then; each that is refused
/// alone is set aside, and of its key nothing overtakes it.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_broker_refuses_alone_are_set_aside_one_by_one() -> Result<()> {
    const KEYS: i64 = 100;
    const REVISIONS: i64 = 10;
    const REFUSED: usize = 10;
    let _turn = alone().await;
    if broker_is_embedded() {
        return Ok(());
    }
    let scene = Scene::with(narrow_segments()).await?;
    let topic = &scene.topic;
    let mut relay = scene.relay()?;
    book(&scene.outbox, 1, 1, 0).await?;
    scene.reaches(1, &["0"]).await;
    // Each key has ten rows; the sixth of every tenth key is too large.
    append(&scene, 10..10 + KEYS, REVISIONS, "id % 10 = 0 and revision = 5").await?;
    let started = now_ms();
    let held = scene.quarantined(REFUSED * 5).await;
    let refused = held.iter().filter(|row| row.cause.is_some()).count();
    ensure!(refused == REFUSED, "{refused} refused: {}", scene.said()?);
    let reaches = async |each: i64, of_refused: &[i64]| {
        eventually("all others", || async {
            let log = scene.published().await.ok()?;
            let mut seen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for (key, revision) in log.iter().filter_map(|name| name.split_once('@')) {
                let (of_key, revision) =
                    (seen.entry(key.to_owned()).or_default(), revision.parse().ok()?);
                if !of_key.contains(&revision) {
                    of_key.push(revision);
                }
            }
            seen.remove("Booking:1");
            let all: Vec<i64> = (0..each).collect();
            let is_refused = |key: &str| key.ends_with('0');
            let wrong: Vec<_> = seen
                .iter()
                .filter(|(key, revisions)| {
                    let expected = if is_refused(key) { of_refused } else { &all };
                    revisions.as_slice() != &expected[..revisions.len().min(expected.len())]
                })
                .collect();
            assert!(wrong.is_empty(), "inverted: {wrong:?}");
            let whole = seen.iter().all(|(key, revisions)| {
                revisions.len() == if is_refused(key) { of_refused.len() } else { all.len() }
            });
            (whole && i64::try_from(seen.len()).ok()? == KEYS).then_some(log.len())
        })
        .await
    };
    let records = reaches(REVISIONS, &[0, 1, 2, 3, 4]).await;
    figure(format_args!(
        "{REFUSED} rows refused alone among {}: sorted out after {} ms, {records} records",
        KEYS * REVISIONS,
        now_ms() - started
    ));
    scene.decide(&["skip", topic, "--all", "--yes", "--wait"]).await?;
    reaches(REVISIONS, &[0, 1, 2, 3, 4, 6, 7, 8, 9]).await;
    scene.quarantined(0).await;
    ensure!(relay.terminate(Duration::from_secs(10)).await? == 0, "{}", scene.said()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_told_to_stop_while_rows_are_sorted_out_ends_and_the_next_goes_on()
-> Result<()> {
    let _turn = alone().await;
    if broker_is_embedded() {
        return Ok(());
    }
    let scene = Scene::with(narrow_segments()).await?;
    let mut relay = scene.relay()?;
    book(&scene.outbox, 1, 1, 0).await?;
    scene.reaches(1, &["0"]).await;
    append(&scene, 10..50, 2, "revision = 0").await?;
    eventually("a row that is refused alone", || async {
        scene.said().ok()?.contains("careful delivery failed").then_some(())
    })
    .await;
    let code = relay.terminate(Duration::from_secs(10)).await?;
    ensure!(code == 0, "exit code {code}:\n{}", scene.said()?);
    let mut relay = scene.relay()?;
    let held = scene.quarantined(80).await;
    ensure!(held.iter().filter(|row| row.cause.is_some()).count() == 40, "{held:?}");
    ensure!(scene.published().await? == ["Booking:1@0"], "{:?}", scene.published().await?);
    ensure!(relay.terminate(Duration::from_secs(10)).await? == 0, "{}", scene.said()?);
    Ok(())
}
