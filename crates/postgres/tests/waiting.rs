use dionysus_core::{Cursor, Snapshot};
use dionysus_embedded::testing::Database;
use dionysus_postgres::waiting;
use dionysus_postgres::window::Limit;

use crate::support::{append, append_all, database, reader};

async fn now(database: &Database) -> Snapshot {
    let mut reader = reader(database).await;
    let window =
        reader.fresh(&Snapshot::beginning(), &["v3_a".to_owned()], Limit::rows(1)).await.unwrap();
    reader.close().await;
    window.to
}

async fn seq_of(database: &Database, key: &str) -> i64 {
    sqlx::query_scalar("select seq from dionysus.outbox where key = $1")
        .bind(key)
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_look_counts_what_the_cursor_has_not_passed_by_topic() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    append(&mut conn, "v3_a", "Rental:1").await;
    let mut open = database.pool.begin().await.unwrap();
    append(&mut open, "v3_b", "Rental:2").await;
    let cursor = Cursor::At(now(&database).await);
    let look = waiting::look(&database.pool, &cursor, 100).await.unwrap();
    assert!(look.topics.is_empty() && !look.is_cut, "{look:?}");

    append_all(&mut conn, &[("v3_a", "Rental:3"), ("v3_a", "Rental:4")]).await;
    open.commit().await.unwrap();
    let look = waiting::look(&database.pool, &cursor, 100).await.unwrap();
    assert_eq!(look.topics["v3_a"].rows, 2);
    assert_eq!(look.topics["v3_b"].rows, 1, "a late commit waits as well");
    assert!(look.topics["v3_b"].oldest >= look.topics["v3_a"].oldest, "{look:?}");
    assert!(!look.is_cut);
}

#[tokio::test]
async fn inside_a_window_a_look_counts_from_the_place_on() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let from = now(&database).await;
    append_all(&mut conn, &[("v3_a", "Rental:1"), ("v3_a", "Rental:2"), ("v3_a", "Rental:3")])
        .await;
    let to = now(&database).await;
    append(&mut conn, "v3_b", "Rental:4").await;
    let cursor = Cursor::Inside { from, to, seq: seq_of(&database, "Rental:2").await };
    let look = waiting::look(&database.pool, &cursor, 100).await.unwrap();
    assert_eq!((look.topics["v3_a"].rows, look.topics["v3_b"].rows), (1, 1));
}

#[tokio::test]
async fn a_look_says_that_it_was_cut() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    append_all(&mut conn, &[("v3_a", "Rental:1"); 20]).await;
    append(&mut conn, "v3_b", "Rental:2").await;
    let look = waiting::look(&database.pool, &Cursor::beginning(), 20).await.unwrap();
    assert_eq!(look.topics["v3_a"].rows, 20);
    assert!(look.is_cut && !look.topics.contains_key("v3_b"), "{look:?}");
}
