//! A database per test: quick, alone, gone at the end.

use std::borrow::Cow;

use dionysus_testing::TestDatabase;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection as _, PgConnection, SqlSafeStr as _};

use crate::fixture::{self, Rental};

/// Whether the server has a database of this name.
async fn exists(url: &str, name: &str) -> bool {
    let mut conn = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn each_database_has_the_schema_and_the_applications_tables_and_nothing_of_another_test() {
    let sql = "create table rooms (id bigint primary key); insert into rooms values (1)";
    let (one, other) = tokio::join!(TestDatabase::with_sql(sql), TestDatabase::with_sql(sql));
    assert_ne!(one.name(), other.name());
    sqlx::query("insert into rooms values (2)").execute(&one.pool).await.unwrap();
    let count = "select count(*) from rooms";
    let rooms: i64 = sqlx::query_scalar(count).fetch_one(&other.pool).await.unwrap();
    assert_eq!(rooms, 1);
    assert_eq!(one.enqueued().await.len(), 0);
    let plain = TestDatabase::new().await;
    sqlx::query(count).execute(&plain.pool).await.unwrap_err();
    let mut conn = PgConnection::connect(&plain.url).await.unwrap();
    let name: String =
        sqlx::query_scalar("select current_database()").fetch_one(&mut conn).await.unwrap();
    assert_eq!(name, plain.name());
}

#[tokio::test]
async fn an_applications_migrations_are_run() {
    let migration = |version, sql| {
        let sql = sqlx::AssertSqlSafe(sql).into_sql_str();
        Migration::new(version, Cow::Borrowed("rooms"), MigrationType::Simple, sql, false)
    };
    let migrations = Migrator {
        migrations: Cow::Owned(vec![
            migration(1, "create table rooms (id bigint)"),
            migration(2, "alter table rooms add column name text"),
        ]),
        ..Migrator::DEFAULT
    };
    for _ in 0..2 {
        let database = TestDatabase::with_migrations(&migrations).await;
        sqlx::query("insert into rooms values (1, 'a')").execute(&database.pool).await.unwrap();
        // What the application does when it starts finds all of it done.
        migrations.run(&database.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_is_dropped_with_its_value() {
    let (kept, dropped) = (TestDatabase::new().await, TestDatabase::new().await);
    let name = dropped.name().to_owned();
    assert!(exists(&kept.url, &name).await);
    // Sessions do not keep it.
    let session = PgConnection::connect(&dropped.url).await.unwrap();
    drop(dropped);
    assert!(!exists(&kept.url, &name).await);
    drop(session);
}

#[tokio::test]
async fn an_outbox_panics_when_staged_events_are_forgotten() {
    let database = fixture::database().await;
    let outbox = database.outbox(fixture::topology()).await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&Rental { id: 1, account_id: None, name: "Villa".into() }).unwrap();
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(tx)));
    let said = *dropped.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("dropped without commit"), "{said}");
}
