//! Retention beside open writers, readers of windows and runs that read everything.
//!
//! Writers put rows into old leaves by an explicit time, which no application does: a leaf that is just being retired is then written to
//! again and again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dionysus_core::Snapshot;
use dionysus_postgres::retention::{self, How};
use dionysus_postgres::window::{Limit, WindowReader};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::history::{Seen, Written, check_floors, check_published};
use super::scene::{KEEP, Scene};

const TOPIC: &str = "v3_rentals";
const WRITERS: u64 = 16;
const LEAVES: i32 = 16;
/// Days without a leaf, whose rows lie in DEFAULT.
const BARE_DAYS: i32 = 3;
const SPAN: Duration = Duration::from_secs(12);

/// For so long a leaf is written to before the next one is.
const PHASE: Duration = Duration::from_millis(300);

/// The timeout of a leaf's lock is 200 ms. The rest is for a busy machine, and less than the longest transaction.
const INSERT_MAX: Duration = Duration::from_secs(1);

struct Shared {
    pool: PgPool,
    stop: AtomicBool,
    /// Nothing will be committed any more.
    all_written: AtomicBool,
    started: Instant,
    slowest_insert_us: AtomicU64,
}

impl Shared {
    fn runs(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_open_writers_no_row_is_lost_and_floors_hold() {
    let seed: u64 = std::env::var_os("DIONYSUS_SEED")
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("DIONYSUS_SEED={seed}");
    let scene = Scene::new(&[TOPIC]).await;
    for days_ago in 0..LEAVES {
        scene.leaf(5 + days_ago).await;
    }
    let pool = PgPoolOptions::new().max_connections(40).connect(&scene.database.url).await.unwrap();
    let shared = Arc::new(Shared {
        pool,
        stop: AtomicBool::new(false),
        all_written: AtomicBool::new(false),
        started: Instant::now(),
        slowest_insert_us: AtomicU64::new(0),
    });
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(Arc::clone(&shared), StdRng::seed_from_u64(seed ^ (writer << 32))));
    }
    let lane = tokio::spawn(publish(Arc::clone(&shared), scene.database.url.clone()));
    let runs = tokio::spawn(read_all(Arc::clone(&shared)));
    let retiring = [retire(Arc::clone(&shared)), retire(Arc::clone(&shared))].map(tokio::spawn);
    tokio::time::sleep(SPAN).await;
    shared.stop.store(true, Ordering::Relaxed);
    let written: Vec<Written> = writers.join_all().await.into_iter().flatten().collect();
    shared.all_written.store(true, Ordering::Relaxed);
    let mut done = HashMap::new();
    for task in retiring {
        for (how, count) in task.await.unwrap() {
            *done.entry(how).or_insert(0) += count;
        }
    }
    let published = lane.await.unwrap();
    let runs = runs.await.unwrap();

    let slowest = Duration::from_micros(shared.slowest_insert_us.load(Ordering::Relaxed));
    let count = |how: &str| done.get(how).copied().unwrap_or(0);
    println!(
        "{} rows committed, {} published; {} truncations, {} drops, {} deletions; {} runs; slowest insert {slowest:?}",
        written.len(),
        published.len(),
        count("truncated"),
        count("dropped"),
        count("deleted"),
        runs.len(),
    );
    let enough = count("truncated") >= 5 && count("deleted") > 0;
    assert!(enough, "too little was retired to show anything: {done:?}");
    check_published(&written, &published);
    check_floors(&written, &runs);
    assert!(slowest < INSERT_MAX, "an insert waited for {slowest:?}");
}

/// Short and long transactions, savepoints, roll-backs; returns what was committed.
async fn write(shared: Arc<Shared>, mut rng: StdRng) -> Vec<Written> {
    let mut written = Vec::new();
    while shared.runs() {
        let mut tx = shared.pool.begin().await.unwrap();
        let mut rows = Vec::new();
        for _ in 0..rng.random_range(1..=3) {
            let undone = rng.random_bool(0.1);
            if undone {
                sqlx::query("savepoint s").execute(&mut *tx).await.unwrap();
            }
            // A straggler meets a leaf that is just being retired.
            let leaf = if rng.random_bool(0.05) {
                rng.random_range(0..LEAVES + BARE_DAYS)
            } else {
                let phase = shared.started.elapsed().as_millis() / PHASE.as_millis();
                i32::try_from(phase).unwrap() % (LEAVES + BARE_DAYS)
            };
            let started = Instant::now();
            let row = insert(&mut tx, 5 + leaf).await;
            let took_us = u64::try_from(started.elapsed().as_micros()).unwrap();
            shared.slowest_insert_us.fetch_max(took_us, Ordering::Relaxed);
            if undone {
                sqlx::query("rollback to savepoint s").execute(&mut *tx).await.unwrap();
            } else {
                rows.push(row);
            }
            let open_ms = if rng.random_bool(0.000_7) { 1_500 } else { 25 };
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..open_ms))).await;
        }
        if rng.random_bool(0.15) {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            written.extend(rows);
        }
    }
    written
}

async fn insert(conn: &mut sqlx::PgConnection, days_ago: i32) -> Written {
    let (seq, xid, event_id): (i64, String, Uuid) = sqlx::query_as(
        "insert into dionysus.outbox (created_at, event_id, topic, key, event, model, model_id, payload)
         values (((now() at time zone 'UTC')::date - $2)::timestamp at time zone 'UTC' + interval '12 h',
                 gen_random_uuid(), $1, 'Rental:1', 'rental_updated', 'Rental', '1', '{}')
         returning seq, xid::text, event_id",
    )
    .bind(TOPIC)
    .bind(days_ago)
    .fetch_one(conn)
    .await
    .unwrap();
    Written { seq, xid: xid.parse().unwrap(), event_id }
}

/// A lane as a relay keeps it: reads what is new, then stores how far it has come. Ends when it has read everything.
async fn publish(shared: Arc<Shared>, url: String) -> Vec<Uuid> {
    let mut reader = WindowReader::connect(&url.parse().unwrap(), "test").await.unwrap();
    let (mut cursor, mut published) = (Snapshot::beginning(), Vec::new());
    loop {
        let is_last = shared.all_written.load(Ordering::Relaxed);
        let window =
            reader.fresh(&cursor, &[TOPIC.to_owned()], Limit::rows(100_000)).await.unwrap();
        published.extend(window.rows.iter().map(|row| row.event_id().unwrap()));
        cursor = window.to;
        sqlx::query("update dionysus.lanes set cursor = $1::pg_snapshot")
            .bind(cursor.to_string())
            .execute(&shared.pool)
            .await
            .unwrap();
        if is_last {
            return published;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn retire(shared: Arc<Shared>) -> HashMap<&'static str, u64> {
    let mut done = HashMap::new();
    while shared.runs() {
        let round = retention::round(&shared.pool, KEEP).await.unwrap();
        for gone in round.retired {
            let how = match gone.how {
                How::Truncated => "truncated",
                How::Deleted => "deleted",
                How::Dropped => "dropped",
            };
            *done.entry(how).or_insert(0) += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    done
}

/// As genesis reads: a lock against truncation, then a snapshot, in which everything is looked at.
async fn read_all(shared: Arc<Shared>) -> Vec<Seen> {
    let mut seen = Vec::new();
    while shared.runs() {
        let mut tx = shared.pool.begin().await.unwrap();
        sqlx::raw_sql(
            "set transaction isolation level repeatable read; lock table dionysus.outbox in access share mode",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        let snapshot: String = sqlx::query_scalar("select pg_current_snapshot()::text")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let floor = retention::floor(&mut tx).await.unwrap();
        let rows = sqlx::query_scalar("select seq from dionysus.outbox order by seq")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        seen.push(Seen { snapshot: snapshot.parse().unwrap(), floor, rows });
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    seen
}
