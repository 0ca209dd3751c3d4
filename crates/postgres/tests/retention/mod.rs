//! Retention against a real Postgres, with whoever may stand in its way.

mod history;
mod roles;
mod scene;
mod torture;

use std::time::{Duration, Instant};

use dionysus_postgres::retention::{self, Hold, How, Round};
use sqlx::PgPool;

use scene::{KEEP, PATIENCE, Scene, counted, exists};

/// A round that no other test's transaction holds up: what is open is open in the whole cluster.
async fn round(pool: &PgPool) -> Round {
    let started = Instant::now();
    loop {
        let round = retention::round(pool, KEEP).await.unwrap();
        if round.standing.held_by != Some(Hold::OpenTransaction) {
            return round;
        }
        assert!(started.elapsed() < PATIENCE, "{round:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn lane(topic: &str) -> Hold {
    Hold::Lane { topic: topic.to_owned() }
}

#[tokio::test]
async fn a_leaf_goes_when_it_is_old_and_every_lane_has_passed_it() {
    let scene = Scene::new(&["v3_a", "v3_b"]).await;
    let (old, young) = (scene.leaf(5).await, scene.leaf(2).await);
    for leaf in [&old, &young] {
        scene.insert("v3_a", leaf).await;
    }
    scene.pass("v3_a").await;
    let held = round(&scene.pool).await;
    assert_eq!((held.retired, held.standing.held_by), (vec![], Some(lane("v3_b"))));
    assert!(held.standing.overdue > Duration::from_hours(23), "{:?}", held.standing.overdue);
    assert_eq!(held.standing.oldest_leaf.as_deref(), Some(&*old.name));
    scene.pass("v3_b").await;
    let done = round(&scene.pool).await;
    let gone: Vec<_> = done.retired.iter().map(|gone| (gone.leaf.as_str(), gone.how)).collect();
    assert_eq!(gone, [(&*old.name, How::Truncated), (&*old.name, How::Dropped)]);
    assert!(done.retired[0].bytes > 0 && done.retired[0].rows == 1, "{:?}", done.retired);
    assert_eq!((done.standing.held_by, done.standing.overdue), (None, Duration::ZERO));
    assert!(!exists(&scene.pool, &old.name).await && exists(&scene.pool, &young.name).await);
    assert_eq!(counted(&scene.pool, &young.name).await, 1);
}

#[tokio::test]
async fn the_end_of_a_window_that_is_half_read_does_not_count() {
    let scene = Scene::new(&["v3_a"]).await;
    let leaf = scene.leaf(5).await;
    scene.insert("v3_a", &leaf).await;
    sqlx::query("update dionysus.lanes set window_end = pg_current_snapshot(), window_seq = 0")
        .execute(&scene.pool)
        .await
        .unwrap();
    assert_eq!(round(&scene.pool).await.standing.held_by, Some(lane("v3_a")));
    assert_eq!(counted(&scene.pool, &leaf.name).await, 1);
}

#[tokio::test]
async fn a_floor_is_committed_first_and_waits_for_transactions_from_before_it() {
    let scene = Scene::new(&["v3_a"]).await;
    let leaf = scene.leaf(5).await;
    let seq = scene.insert("v3_a", &leaf).await;
    scene.pass("v3_a").await;
    let mut before = scene.pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *before).await.unwrap();
    let held = retention::round(&scene.pool, KEEP).await.unwrap();
    assert_eq!(held.standing.held_by, Some(Hold::OpenTransaction));
    let floors: Vec<i64> =
        sqlx::query_scalar("select seq from dionysus.floors").fetch_all(&scene.pool).await.unwrap();
    assert_eq!(floors, [seq], "committed ahead");
    let floor = async || retention::floor(&mut scene.pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(floor().await, None, "who was open before it may bring a lower number");
    before.commit().await.unwrap();
    assert_eq!(round(&scene.pool).await.retired[0].how, How::Truncated);
    assert_eq!(floor().await, Some(seq));
}

#[tokio::test]
async fn a_leaf_in_use_is_left_after_the_lock_timeout() {
    let scene = Scene::new(&["v3_a"]).await;
    let leaf = scene.leaf(5).await;
    scene.insert("v3_a", &leaf).await;
    scene.pass("v3_a").await;
    // As a genesis chunk does.
    let mut reader = scene.pool.begin().await.unwrap();
    sqlx::query("lock table dionysus.outbox in access share mode")
        .execute(&mut *reader)
        .await
        .unwrap();
    let held = round(&scene.pool).await;
    assert_eq!(held.standing.held_by, Some(Hold::Lock { leaf: leaf.name.clone() }));
    reader.commit().await.unwrap();
    assert_eq!(round(&scene.pool).await.retired.len(), 2);
}

#[tokio::test]
async fn an_empty_leaf_stays_while_a_writer_is_in_the_way() {
    let scene = Scene::new(&["v3_a"]).await;
    let leaf = scene.leaf(4).await;
    let mut writer = scene.pool.begin().await.unwrap();
    crate::support::append(&mut writer, "v3_a", "Rental:1").await;
    assert_eq!(round(&scene.pool).await.retired, []);
    assert!(exists(&scene.pool, &leaf.name).await);
    writer.rollback().await.unwrap();
    assert_eq!(round(&scene.pool).await.retired[0].how, How::Dropped);
    assert!(!exists(&scene.pool, &leaf.name).await);
}

#[tokio::test]
async fn a_leaf_that_was_detached_to_be_kept_is_not_touched() {
    let scene = Scene::new(&["v3_a"]).await;
    let leaf = scene.leaf(5).await;
    scene.insert("v3_a", &leaf).await;
    scene.pass("v3_a").await;
    let sql = format!("alter table dionysus.outbox detach partition {}", leaf.name);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&scene.pool).await.unwrap();
    assert_eq!(round(&scene.pool).await.retired, []);
    assert_eq!(counted(&scene.pool, &leaf.name).await, 1);
}

#[tokio::test]
async fn old_rows_of_the_default_partition_are_deleted_and_young_ones_stay() {
    let scene = Scene::new(&["v3_a"]).await;
    let old: Vec<i64> = vec![scene.insert_at("v3_a", 5).await, scene.insert_at("v3_a", 4).await];
    scene.insert_at("v3_a", 1).await;
    assert_eq!(round(&scene.pool).await.standing.held_by, Some(lane("v3_a")));
    scene.pass("v3_a").await;
    let done = round(&scene.pool).await;
    assert_eq!((done.retired[0].how, done.retired[0].rows), (How::Deleted, 2));
    assert_eq!(counted(&scene.pool, "dionysus.outbox_default").await, 1);
    let floor = retention::floor(&mut scene.pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(floor, old.last().copied());
}

#[tokio::test]
async fn without_lanes_nothing_holds_old_rows() {
    let scene = Scene::new(&[]).await;
    let leaf = scene.leaf(5).await;
    scene.insert("v3_nobody", &leaf).await;
    assert_eq!(round(&scene.pool).await.retired.len(), 2);
}
