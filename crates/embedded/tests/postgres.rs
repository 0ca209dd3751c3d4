//! Postgres: started, used, crashed, restarted, stopped.

use std::sync::atomic::{AtomicUsize, Ordering};

use dionysus_embedded::{Postgres, PostgresOptions, testing};
use sqlx::{Connection as _, PgConnection};

async fn number(url: &str, query: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let number = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    number
}

async fn setting(url: &str, name: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select current_setting($1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn committed_rows_and_the_port_survive_a_crash_and_uncommitted_rows_do_not() {
    let mut postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let url = postgres.create_database("a \"shop\"").await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("create table sale (id bigint); insert into sale values (1), (2)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut open = connection.begin().await.unwrap();
    sqlx::query("insert into sale values (3)").execute(&mut *open).await.unwrap();

    postgres.crash().await;
    assert_eq!(postgres.pid(), None);
    sqlx::query("select 1").execute(&mut *open).await.unwrap_err();
    PgConnection::connect(&url).await.unwrap_err();

    postgres.restart().await.unwrap();
    assert_eq!(number(&url, "select count(*) from sale").await, 2);
    // Also from a server that runs, and more than once.
    let before = postgres.pid().unwrap();
    postgres.restart().await.unwrap();
    assert_ne!(postgres.pid().unwrap(), before);
    assert_eq!(number(&url, "select count(*) from sale").await, 2);
    postgres.stop().await;
}

#[tokio::test]
async fn stopping_removes_the_data() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let folder = postgres.log_file().parent().unwrap().to_owned();
    assert!(folder.join("data/PG_VERSION").exists());
    let url = postgres.url().to_owned();
    postgres.stop().await;
    assert!(!folder.exists());
    PgConnection::connect(&url).await.unwrap_err();
}

#[tokio::test]
async fn settings_are_applied_and_a_wrong_one_is_reported_with_the_servers_words() {
    let with = |name: &str, value: &str| PostgresOptions {
        settings: vec![(name.to_owned(), value.to_owned())],
        durable: true,
        ..PostgresOptions::default()
    };
    let postgres = Postgres::start(with("wal_writer_delay", "10s")).await.unwrap();
    assert_eq!(setting(postgres.url(), "wal_writer_delay").await, "10s");
    assert_eq!(setting(postgres.url(), "fsync").await, "on");
    assert_eq!(setting(postgres.url(), "server_encoding").await, "UTF8");
    postgres.stop().await;

    let error = Postgres::start(with("wal_writer_delay", "soon")).await.unwrap_err();
    assert!(error.to_string().contains("invalid value for parameter"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_right_one_not_shown() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let (password, _) = postgres.url()["postgres://postgres:".len()..].split_once('@').unwrap();
    assert!(!format!("{postgres:?}").contains(password));
    let (_, host) = postgres.url().split_once('@').unwrap();
    let error =
        PgConnection::connect(&format!("postgres://postgres:wrong@{host}")).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "28P01");
    postgres.stop().await;
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_which_goes_with_it() {
    let (one, two) = tokio::join!(testing::database(), testing::database());
    assert_ne!(one.url, two.url);
    sqlx::query("create table mine ()").execute(&one.pool).await.unwrap();
    let tables: i64 =
        sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
            .fetch_one(&two.pool)
            .await
            .unwrap();
    assert_eq!(tables, 0);
    let gone = one.url.clone();
    drop(one);
    PgConnection::connect(&gone).await.unwrap_err();
    assert_eq!(number(&two.url, "select 1::bigint").await, 1);
}

/// Once, by `cargo xtask test`: it needs Maven Central and fetches 30 MB.
#[cfg(feature = "download")]
#[tokio::test]
#[ignore = "needs Maven Central; `cargo xtask test` runs it"]
async fn a_machine_without_postgres_downloads_one() {
    // Two at once: one downloads, the other waits for it.
    let options = PostgresOptions {
        binaries: dionysus_embedded::Binaries::Download,
        ..PostgresOptions::default()
    };
    let (one, two) = tokio::join!(Postgres::start(options.clone()), Postgres::start(options));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.bin_dir(), two.bin_dir());
    assert!(!one.bin_dir().starts_with("/usr"));
    assert_eq!(setting(one.url(), "server_version").await, "17.11");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_database_is_copied_from_what_was_filled_once() {
    let content = testing::topic("filled");
    let fills = AtomicUsize::new(0);
    let make = || {
        testing::database_with(&content, async |pool| {
            fills.fetch_add(1, Ordering::Relaxed);
            sqlx::raw_sql("create table sale (id bigint); insert into sale values (1)")
                .execute(&pool)
                .await
                .unwrap();
        })
    };
    let count = "select count(*) from sale";
    let (one, other, third) = tokio::join!(make(), make(), make());
    sqlx::query("insert into sale values (2)").execute(&one.pool).await.unwrap();
    assert_eq!((number(&one.url, count).await, number(&other.url, count).await), (2, 1));
    assert_eq!(fills.load(Ordering::Relaxed), 1);

    // By an operator, or by somebody who makes room.
    let template = format!("dionysus_template_{content}");
    let drop =
        format!("alter database {template} with is_template false; drop database {template}");
    for statement in drop.split("; ") {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&third.pool).await.unwrap();
    }
    assert_eq!(number(&make().await.url, count).await, 1);
    assert_eq!(fills.load(Ordering::Relaxed), 2);
    for statement in drop.split("; ") {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&third.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_template_that_was_left_half_made_is_made_anew() {
    let content = testing::topic("half");
    let template = format!("dionysus_template_{content}");
    let admin = testing::database().await;
    let execute = async |statement: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&admin.pool).await.unwrap();
    };
    // A process that was killed while it filled it.
    execute(format!("create database {template}")).await;
    let database = testing::database_with(&content, async |pool| {
        sqlx::raw_sql("create table sale (id bigint)").execute(&pool).await.unwrap();
    })
    .await;
    assert_eq!(number(&database.url, "select count(*) from sale").await, 0);
    execute(format!("alter database {template} with is_template false")).await;
    execute(format!("drop database {template}")).await;
}
