//! What a new timeline does with rows, lanes and numbers.

use dionysus_core::Snapshot;
use dionysus_embedded::testing::Database;
use dionysus_postgres::retention;
use dionysus_postgres::timeline::{self, Begun};
use dionysus_postgres::window::Limit;
use sqlx::PgPool;

use super::advance;
use crate::support::{append, database, reader, register};

/// What a lane reads from its stored cursor on: keys and numbers.
async fn read(database: &Database, topic: &str) -> (Vec<(String, i64)>, Snapshot) {
    let cursor: String =
        sqlx::query_scalar("select cursor::text from dionysus.lanes where topic = $1")
            .bind(topic)
            .fetch_one(&database.pool)
            .await
            .unwrap();
    let window = reader(database)
        .await
        .fresh(&cursor.parse().unwrap(), &[topic.to_owned()], Limit::rows(100))
        .await
        .unwrap();
    let rows = window.rows.iter().map(|row| (row.key().unwrap().to_owned(), row.seq())).collect();
    (rows, window.to)
}

fn keys(rows: &[(String, i64)]) -> Vec<&str> {
    rows.iter().map(|(key, _)| key.as_str()).collect()
}

#[tokio::test]
async fn a_new_timeline_renumbers_what_no_lane_has_passed_and_retires_the_rest() {
    let database = database().await;
    let pool = &database.pool;
    register(&database, &["v3_a", "v3_b"]).await;
    for key in ["Rental:1", "Rental:2", "Rental:3"] {
        append(&mut pool.acquire().await.unwrap(), "v3_a", key).await;
        append(&mut pool.acquire().await.unwrap(), "v3_b", key).await;
    }
    // Lane a has passed all but what follows; lane b stands in a window, behind its second row.
    sqlx::query("update dionysus.lanes set cursor = pg_current_snapshot() where topic = 'v3_a'")
        .execute(pool)
        .await
        .unwrap();
    append(&mut pool.acquire().await.unwrap(), "v3_a", "Rental:4").await;
    append(&mut pool.acquire().await.unwrap(), "v3_a", "Rental:5").await;
    sqlx::query(
        "update dionysus.lanes set window_end = pg_current_snapshot(), window_seq = 4 where topic = 'v3_b'",
    )
    .execute(pool)
    .await
    .unwrap();
    let events = "select key || ' ' || event_id || ' ' || created_at from dionysus.outbox where topic = 'v3_a' and key >= 'Rental:4' order by seq";
    let before: Vec<String> = sqlx::query_scalar(events).fetch_all(pool).await.unwrap();
    // It has its id before the timeline begins, and writes after.
    let mut late = pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *late).await.unwrap();
    append(&mut pool.acquire().await.unwrap(), "v3_nobody", "Rental:9").await;

    let begun = timeline::begin(pool, 3, Some(0)).await.unwrap();
    assert_eq!(begun, Some(Begun { timeline: 3, renumbered: 3, lanes: 2 }));
    assert_eq!(timeline::begin(pool, 3, Some(0)).await.unwrap(), None, "somebody was faster");

    let first = 3_i64 << 48;
    let (a, cursor) = read(&database, "v3_a").await;
    assert_eq!(keys(&a), ["Rental:4", "Rental:5"]);
    assert!(a[0].1 > first && a[1].1 > a[0].1, "{a:?}");
    assert_eq!(before, sqlx::query_scalar::<_, String>(events).fetch_all(pool).await.unwrap());
    let (b, _) = read(&database, "v3_b").await;
    assert_eq!(keys(&b), ["Rental:3"]);
    let all: i64 =
        sqlx::query_scalar("select count(*) from dionysus.outbox").fetch_one(pool).await.unwrap();
    assert_eq!(all, 3);

    append(&mut late, "v3_a", "Rental:late").await;
    late.commit().await.unwrap();
    let mut reader = reader(&database).await;
    let window = reader.fresh(&cursor, &["v3_a".into()], Limit::rows(9)).await.unwrap();
    assert_eq!(window.rows.len(), 1, "what was open at the beginning is not lost");
    assert!(window.rows[0].seq() > a[1].1);

    let epochs: Vec<i64> =
        sqlx::query_scalar("select epoch from dionysus.lanes").fetch_all(pool).await.unwrap();
    assert_eq!(epochs, [3 << 16, 3 << 16]);
    register(&database, &["v3_c"]).await;
    let epoch: i64 = sqlx::query_scalar("select epoch from dionysus.lanes where topic = 'v3_c'")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(epoch, 3 << 16, "of a lane that is opened later");
    let mut conn = pool.acquire().await.unwrap();
    let floor = loop {
        // Other tests of the cluster have transactions open.
        if let Some(floor) = retention::floor(&mut conn).await.unwrap() {
            break floor;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(floor, first);
}

#[tokio::test]
async fn a_role_that_may_not_truncate_starts_a_timeline_as_well() {
    let database = database().await;
    register(&database, &["v3_a"]).await;
    advance(&database.pool, 2).await;
    sqlx::query("update dionysus.lanes set cursor = pg_current_snapshot()")
        .execute(&database.pool)
        .await
        .unwrap();
    advance(&database.pool, 3).await;
    let role = format!("starter_{}", database.name());
    let sql = format!(
        "create role {role} login password 'x';
         grant usage on schema dionysus to {role};
         grant select, insert, update, delete on all tables in schema dionysus to {role};
         grant all on dionysus.outbox_seq to {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
    let options: sqlx::postgres::PgConnectOptions = database.url.parse().unwrap();
    let pool = PgPool::connect_with(options.username(&role).password("x")).await.unwrap();
    let begun = timeline::begin(&pool, 0, None).await.unwrap().unwrap();
    // Other tests' transactions may have been open when the lane passed the first two.
    assert!((3..=5).contains(&begun.renumbered), "{begun:?}");
    let (rows, _) = read(&database, "v3_a").await;
    assert_eq!(rows.len() as u64, begun.renumbered);
    pool.close().await;
    let sql = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
}
