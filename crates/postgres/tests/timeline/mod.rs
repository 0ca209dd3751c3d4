//! Other histories are recognised, and a new timeline loses nothing.

mod begin;

use std::path::Path;
use std::process::Command;

use dionysus_embedded::{Postgres, PostgresOptions};
use dionysus_postgres::timeline::{self, Memory, Sign};
use dionysus_postgres::{Error, schema, topics};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::support::{append, database, register};

fn sign(result: Result<(), Error>) -> Sign {
    match result {
        Err(Error::Restored { sign, .. }) => sign,
        other => panic!("{other:?}"),
    }
}

/// A server of its own, with the schema in a database of its own.
async fn server() -> (Postgres, PgPool) {
    let server = Postgres::start(PostgresOptions::default()).await.unwrap();
    let url = server.create_database("history").await.unwrap();
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    schema::migrate(&pool).await.unwrap();
    (server, pool)
}

fn data(server: &Postgres) -> std::path::PathBuf {
    server.log_file().parent().unwrap().join("data")
}

fn run(program: &str, arguments: &[&Path]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success());
}

/// `cp -a`: owner and rights are the server's.
fn copy(from: &Path, to: &Path) {
    run("cp", &[Path::new("-a"), from, to]);
}

async fn advance(pool: &PgPool, rows: usize) {
    for _ in 0..rows {
        append(&mut pool.acquire().await.unwrap(), "v3_a", "Rental:1").await;
    }
}

#[tokio::test]
async fn the_same_history_is_seen_again_and_a_crash_does_not_end_it() {
    let (mut server, pool) = server().await;
    let mut memory = Memory::default();
    for _ in 0..3 {
        timeline::look(&pool, &mut memory).await.unwrap();
        advance(&pool, 3).await;
    }
    server.crash().await;
    server.restart().await.unwrap();
    timeline::look(&pool, &mut memory).await.unwrap();
    assert_eq!(timeline::check(&pool).await.unwrap(), 0);
    server.stop().await;
}

#[tokio::test]
async fn an_older_copy_in_the_place_of_the_original_is_recognised() {
    let (mut server, pool) = server().await;
    let mut memory = Memory::default();
    advance(&pool, 3).await;
    timeline::look(&pool, &mut memory).await.unwrap();
    let (data, kept) = (data(&server), data(&server).with_extension("copy"));
    server.crash().await;
    copy(&data, &kept);
    server.restart().await.unwrap();
    // The original goes on, and its rows are published.
    advance(&pool, 5).await;
    timeline::look(&pool, &mut memory).await.unwrap();
    let published: i64 =
        sqlx::query_scalar("select max(seq) from dionysus.outbox").fetch_one(&pool).await.unwrap();
    server.crash().await;
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&kept, &data).unwrap();
    server.restart().await.unwrap();

    assert_eq!(sign(timeline::look(&pool, &mut memory).await), Sign::WentBack);
    // A relay that was started since remembers nothing. Kafka does.
    timeline::look(&pool, &mut Memory::default()).await.unwrap();
    let versions = [("v3_a".to_owned(), published)];
    let found = sign(timeline::compare(&pool, &versions).await);
    let seq = published - 5;
    assert_eq!(found, Sign::BehindTopic { topic: "v3_a".into(), version: published, seq });
    let begun = timeline::begin(&pool, timeline::above(published), Some(0)).await.unwrap();
    assert_eq!(begun.unwrap().timeline, 1);
    timeline::compare(&pool, &versions).await.unwrap();
    timeline::look(&pool, &mut memory).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_standby_is_refused_and_recognised_when_it_was_promoted() {
    let (mut server, pool) = server().await;
    let mut memory = Memory::default();
    timeline::look(&pool, &mut memory).await.unwrap();
    server.crash().await;
    let signal = data(&server).join("standby.signal");
    copy(&data(&server).join("PG_VERSION"), &signal);
    std::fs::write(&signal, "").unwrap();
    server.restart().await.unwrap();
    let refused = timeline::look(&pool, &mut memory).await;
    assert!(matches!(refused, Err(Error::InRecovery)), "{refused:?}");
    let refused = timeline::begin(&pool, 1, None).await;
    assert!(matches!(refused, Err(Error::InRecovery)), "{refused:?}");
    assert!(sqlx::query_scalar::<_, bool>("select pg_promote()").fetch_one(&pool).await.unwrap());
    let promoted = Sign::ServerTimeline { stored: 1, found: 2 };
    assert_eq!(sign(timeline::look(&pool, &mut memory).await), promoted);
    assert_eq!(sign(timeline::look(&pool, &mut Memory::default()).await), promoted);
    // Above the server's own.
    assert_eq!(timeline::begin(&pool, 0, None).await.unwrap().unwrap().timeline, 2);
    timeline::look(&pool, &mut memory).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn another_cluster_and_another_database_are_recognised() {
    let database = database().await;
    timeline::look(&database.pool, &mut Memory::default()).await.unwrap();
    for (column, expected) in [("system_identifier", "cluster"), ("database_oid", "oid")] {
        let sql = format!("update dionysus.system set {column} = {column} - 1");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
        let error = timeline::look(&database.pool, &mut Memory::default()).await.unwrap_err();
        assert!(error.is_restored() && error.to_string().contains(expected), "{error}");
        assert!(error.remedy().unwrap().contains("dionysus doctor --new-timeline"));
        let sql = format!("update dionysus.system set {column} = {column} + 1");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
    }
    register(&database, &["v3_a"]).await;
    sqlx::query("update dionysus.lanes set cursor = '1:9000000000000:'")
        .execute(&database.pool)
        .await
        .unwrap();
    let ahead = timeline::check(&database.pool).await.map(drop);
    assert_eq!(sign(ahead), Sign::CursorAhead { topic: "v3_a".into() });
}

#[tokio::test]
async fn without_the_right_to_see_the_identifier_the_rest_is_looked_at() {
    let database = database().await;
    sqlx::raw_sql(
        "do $$ begin execute format('create role %I login password ''x''', 'blind_' || current_database()); end $$;
         do $$ begin
             execute format('grant usage on schema dionysus to %I', 'blind_' || current_database());
             execute format('grant select, update on all tables in schema dionysus to %I', 'blind_' || current_database());
             execute format('grant select on dionysus.outbox_seq to %I', 'blind_' || current_database());
         end $$;
         revoke execute on function pg_control_system() from public",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let role = format!("blind_{}", database.name());
    let options: sqlx::postgres::PgConnectOptions = database.url.parse().unwrap();
    let pool = PgPool::connect_with(options.username(&role).password("x")).await.unwrap();
    let mut memory = Memory::default();
    for _ in 0..2 {
        timeline::look(&pool, &mut memory).await.unwrap();
    }
    assert_eq!(timeline::check(&pool).await.unwrap(), 0);
    sqlx::query("update dionysus.system set server_timeline = 7").execute(&pool).await.unwrap();
    let found = sign(timeline::look(&pool, &mut memory).await);
    assert_eq!(found, Sign::ServerTimeline { stored: 7, found: 1 });
    pool.close().await;
    let sql = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn a_retired_topic_holds_nothing_and_comes_back_in_a_later_epoch() {
    let database = database().await;
    register(&database, &["v3_a", "v3_b"]).await;
    sqlx::query("update dionysus.lanes set epoch = 7 where topic = 'v3_a'")
        .execute(&database.pool)
        .await
        .unwrap();
    topics::retire(&database.pool, "v3_a").await.unwrap();
    let left: Vec<String> = sqlx::query_scalar("select topic from dionysus.lanes")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(left, ["v3_b"]);
    let error = topics::retire(&database.pool, "v3_a").await.unwrap_err();
    assert!(matches!(error, Error::TopicNotRegistered { .. }), "{error}");
    register(&database, &["v3_a"]).await;
    let epoch: i64 = sqlx::query_scalar("select epoch from dionysus.lanes where topic = 'v3_a'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(epoch, 7, "whoever claims it gets the next");
}
