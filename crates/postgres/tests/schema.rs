use dionysus_embedded::testing;
use dionysus_postgres::{Error, partitions, schema};

use tokio::task::JoinHandle;

use crate::support::{append, database};

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_the_command_that_helps() {
    let database = testing::database().await;
    let error = schema::check(&database.pool).await.unwrap_err();
    assert!(matches!(error, Error::SchemaMissing { .. }), "{error}");
    assert!(error.remedy().unwrap().contains("dionysus migrate"));
}

#[tokio::test]
async fn migrating_twice_and_at_once_is_migrating_once() {
    let database = testing::database().await;
    let (a, b) = tokio::join!(schema::migrate(&database.pool), schema::migrate(&database.pool));
    let newest = a.unwrap().to;
    assert_eq!(b.unwrap().to, newest);
    let again = schema::migrate(&database.pool).await.unwrap();
    assert_eq!((again.from, again.to), (newest, newest));
    schema::check(&database.pool).await.unwrap();
    assert!(
        schema::migrations(&database.pool).await.unwrap().iter().all(|migration| migration.applied)
    );
}

#[tokio::test]
async fn an_older_schema_and_a_newer_breaking_one_are_refused() {
    let database = database().await;
    sqlx::query("insert into dionysus.migrations (version, description, success, checksum, execution_time) values (9998, 'more columns', true, '', 0)")
        .execute(&database.pool)
        .await
        .unwrap();
    schema::check(&database.pool).await.expect("a newer schema that does not break");
    sqlx::query(
        "update dionysus.migrations set description = 'breaking new cursor' where version = 9998",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let error = schema::check(&database.pool).await.unwrap_err();
    assert!(matches!(error, Error::SchemaTooNew { found: 9998, .. }), "{error}");
    sqlx::query("delete from dionysus.migrations where version = (select max(version) from dionysus.migrations where version < 9998)")
        .execute(&database.pool)
        .await
        .unwrap();
    let error = schema::check(&database.pool).await.unwrap_err();
    assert!(matches!(error, Error::SchemaTooOld { .. }), "{error}");
}

#[tokio::test]
async fn a_program_that_runs_hears_of_a_migration_that_breaks_it_and_of_no_other() {
    let database = database().await;
    let pool = database.pool.clone();
    let watch =
        tokio::spawn(
            async move { schema::misfit(&pool, std::time::Duration::from_millis(5)).await },
        );
    let migrated = "insert into dionysus.migrations (version, description, success, checksum, execution_time) values ($1, $2, true, '', 0)";
    for (version, description) in [(9998, "more columns"), (9999, "breaking new cursor")] {
        sqlx::query(migrated)
            .bind(version)
            .bind(description)
            .execute(&database.pool)
            .await
            .unwrap();
    }
    let error = watch.await.unwrap();
    assert!(matches!(error, Error::SchemaTooNew { found: 9999, .. }), "{error}");
}

#[tokio::test]
async fn partitions_are_made_ahead_beside_open_writers_and_rows_reach_them() {
    let database = database().await;
    let mut writer = database.pool.begin().await.unwrap();
    append(&mut writer, "v3_rentals", "Rental:1").await;
    // The writer's row lies in DEFAULT, whose lock it holds: nobody waits for long.
    assert_eq!(partitions::make_ahead(&database.pool, 3).await.unwrap(), 0);
    writer.commit().await.unwrap();
    assert_eq!(partitions::make_ahead(&database.pool, 3).await.unwrap(), 3);
    assert_eq!(partitions::make_ahead(&database.pool, 3).await.unwrap(), 0);
    let mut conn = database.pool.acquire().await.unwrap();
    sqlx::query("insert into dionysus.outbox (created_at, event_id, topic, key, event, model, model_id, payload) values (now() + interval '2 days', gen_random_uuid(), 't', 'k', 'e', 'm', '1', '')")
        .execute(&mut *conn)
        .await
        .unwrap();
    let leaves: Vec<String> = sqlx::query_scalar(
        "select distinct tableoid::regclass::text from dionysus.outbox order by 1",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    assert_eq!(leaves.len(), 2, "{leaves:?}");
    assert_eq!(leaves[0], "dionysus.outbox_default");
}

/// Each of these inserts is routed to DEFAULT; one that waits there while its own day is attached would fail.
#[tokio::test(flavor = "multi_thread")]
async fn no_insert_fails_while_partitions_are_made_for_the_first_time() {
    for _ in 0..10 {
        let database = database().await;
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let pool = database.pool.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let mut conn = pool.acquire().await.unwrap();
                        append(&mut conn, "v3_rentals", "Rental:1").await;
                    }
                })
            })
            .collect();
        while !writers.iter().all(JoinHandle::is_finished) {
            partitions::make_ahead(&database.pool, 3).await.unwrap();
        }
        for writer in writers {
            writer.await.unwrap();
        }
    }
}
