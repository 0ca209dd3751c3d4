use dionysus_postgres::outbox::WAKE_UP_CHANNEL;
use dionysus_producer::{Outbox, OutboxOptions, WakeUps};
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::timeout;

use crate::fixture::*;

async fn listener(pool: &PgPool) -> PgListener {
    let mut listener = PgListener::connect_with(pool).await.unwrap();
    listener.listen(WAKE_UP_CHANNEL).await.unwrap();
    listener
}

/// The payload of the next notification: empty for a wake-up.
async fn heard(listener: &mut PgListener) -> String {
    let notification =
        timeout(LIMIT, listener.recv()).await.expect("a notification in time").unwrap();
    notification.payload().to_owned()
}

async fn mark(pool: &PgPool) {
    sqlx::query("select pg_notify($1, 'mark')").bind(WAKE_UP_CHANNEL).execute(pool).await.unwrap();
}

/// A commit rings before it returns, so this needs no waiting.
async fn rang(wake_ups: &mut WakeUps) -> bool {
    tokio::select! {
        biased;
        rang = wake_ups.next() => rang,
        () = std::future::ready(()) => false,
    }
}

async fn commit(outbox: &Outbox, id: i64) {
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(id, "a")).unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_commit_with_events_wakes_relays_here_and_elsewhere() {
    let (database, outbox) = outbox().await;
    let (mut wake_ups, mut listener) = (outbox.wake_ups(), listener(&database.pool).await);
    commit(&outbox, 1).await;
    assert!(rang(&mut wake_ups).await);
    assert_eq!(heard(&mut listener).await, "");
    assert_eq!(rows(&database.pool).await.len(), 1);
}

#[tokio::test]
async fn nothing_committed_wakes_nobody() {
    let (database, outbox) = outbox().await;
    let mut wake_ups = outbox.wake_ups();
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.rollback().await.unwrap();
    assert!(!rang(&mut wake_ups).await, "after a roll-back");

    outbox.begin().await.unwrap().commit().await.unwrap();
    assert!(!rang(&mut wake_ups).await, "after a commit without events");

    let mut tx = outbox.begin().await.unwrap();
    let mut savepoint = tx.savepoint().await.unwrap();
    savepoint.created(&rental(1, "a")).unwrap();
    savepoint.commit().await.unwrap();
    assert!(!rang(&mut wake_ups).await, "after a savepoint");
    tx.rollback().await.unwrap();

    let mut own = database.pool.begin().await.unwrap();
    let mut tx = outbox.begin_on(&mut own).await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.commit().await.unwrap();
    assert!(!rang(&mut wake_ups).await, "before the application's commit");
    own.commit().await.unwrap();
    outbox.wake_up();
    assert!(rang(&mut wake_ups).await);
}

#[tokio::test]
async fn wake_ups_are_coalesced() {
    let (database, outbox) = outbox().await;
    let mut listener = listener(&database.pool).await;
    for _ in 0..100 {
        outbox.wake_up();
    }
    assert_eq!(heard(&mut listener).await, "");
    outbox.wake_up();
    assert_eq!(heard(&mut listener).await, "");
    mark(&database.pool).await;
    assert_eq!(heard(&mut listener).await, "mark");
}

#[tokio::test]
async fn switched_off_only_this_process_is_told() {
    let database = migrated().await;
    let outbox = connect(&database.pool, OutboxOptions::new().notify(false)).await;
    let (mut wake_ups, mut listener) = (outbox.wake_ups(), listener(&database.pool).await);
    commit(&outbox, 1).await;
    assert!(rang(&mut wake_ups).await);
    mark(&database.pool).await;
    assert_eq!(heard(&mut listener).await, "mark");
}

#[tokio::test]
async fn commits_go_on_when_the_pool_has_one_connection() {
    let database = migrated().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.url).await.unwrap();
    let outbox = connect(&pool, OutboxOptions::new()).await;
    for id in 1..=50 {
        timeout(LIMIT, commit(&outbox, id)).await.expect("a commit in time");
    }
    assert_eq!(rows(&pool).await.len(), 50);
}

#[tokio::test]
async fn listeners_are_told_when_the_last_clone_is_gone() {
    let (_database, outbox) = outbox().await;
    let clone = outbox.clone();
    let mut wake_ups = outbox.wake_ups();
    drop(outbox);
    clone.wake_up();
    assert!(timeout(LIMIT, wake_ups.next()).await.expect("a wake-up"));
    drop(clone);
    assert!(!timeout(LIMIT, wake_ups.next()).await.expect("an end"));
}
