use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dionysus_producer::{Error, OutboxOptions, OutboxTransaction};
use sqlx::Connection;
use sqlx::postgres::PgPoolOptions;

use crate::fixture::*;
use crate::log::{listen, logged};

#[tokio::test]
async fn a_savepoint_hands_its_events_on_or_takes_them_with_it() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "first")).unwrap();

    let mut savepoint = tx.savepoint().await.unwrap();
    savepoint.updated(&rental(1, "last")).unwrap();
    savepoint.created(&rental(2, "kept")).unwrap();
    let mut inner = savepoint.savepoint().await.unwrap();
    inner.destroyed(&rental(2, "inner, rolled back")).unwrap();
    inner.rollback().await.unwrap();
    let mut inner = savepoint.savepoint().await.unwrap();
    inner.created(&rental(3, "inner")).unwrap();
    inner.commit().await.unwrap();
    savepoint.commit().await.unwrap();

    let mut savepoint = tx.savepoint().await.unwrap();
    savepoint.destroyed(&rental(1, "rolled back")).unwrap();
    savepoint.rollback().await.unwrap();
    let mut savepoint = tx.savepoint().await.unwrap();
    savepoint.destroyed(&rental(2, "dropped")).unwrap();
    drop(savepoint);
    tx.commit().await.unwrap();

    assert_eq!(
        events(&database.pool).await,
        ["Rental:1 rental_created", "Rental:2 rental_created", "Rental:3 rental_created"]
    );
    assert_eq!(rows(&database.pool).await[0].payload, payload("rental_created", "last"));
}

#[tokio::test]
async fn a_statement_that_fails_costs_its_savepoint_alone() {
    async fn insert(tx: &mut OutboxTransaction<'_>, name: Option<&str>) -> Result<(), sqlx::Error> {
        let rental: Rental =
            sqlx::query_as("insert into rentals values (1, 7, $1, null) returning *")
                .bind(name)
                .fetch_one(&mut **tx)
                .await?;
        tx.created(&rental).unwrap();
        Ok(())
    }
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    for name in [None, Some("second try")] {
        let mut savepoint = tx.savepoint().await.unwrap();
        match insert(&mut savepoint, name).await {
            Ok(()) => savepoint.commit().await.unwrap(),
            Err(_) => savepoint.rollback().await.unwrap(),
        }
    }
    tx.commit().await.unwrap();
    assert_eq!(events(&database.pool).await, ["Rental:1 rental_created"]);
}

#[tokio::test]
async fn nested_on_the_applications_transaction_events_share_its_fate() {
    let (database, outbox) = outbox().await;
    for (id, commit) in [(1, true), (2, false)] {
        let mut own = database.pool.begin().await.unwrap();
        let mut tx = outbox.begin_on(&mut own).await.unwrap();
        tx.created(&rental(id, "a")).unwrap();
        tx.commit().await.unwrap();
        let mut tx = outbox.begin_on(&mut own).await.unwrap();
        tx.destroyed(&rental(id, "a")).unwrap();
        tx.rollback().await.unwrap();
        if commit {
            own.commit().await.unwrap();
        } else {
            own.rollback().await.unwrap();
        }
    }
    let mut conn = database.pool.acquire().await.unwrap();
    let mut tx = outbox.begin_on(&mut conn).await.unwrap();
    tx.created(&rental(3, "a transaction of its own")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        events(&database.pool).await,
        ["Rental:1 rental_created", "Rental:3 rental_created"]
    );
}

#[tokio::test]
async fn a_nested_transaction_of_sqlx_may_end_before_its_changes_are_staged() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    let mut nested = tx.begin().await.unwrap();
    let rental: Rental = sqlx::query_as("insert into rentals values (1, 7, 'a', null) returning *")
        .fetch_one(&mut *nested)
        .await
        .unwrap();
    nested.commit().await.unwrap();
    tx.created(&rental).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(events(&database.pool).await, ["Rental:1 rental_created"]);
}

#[tokio::test]
async fn a_nested_transaction_of_sqlx_that_is_left_open_is_refused_and_all_is_rolled_back() {
    let database = migrated().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.url).await.unwrap();
    let outbox = connect(&pool, OutboxOptions::new()).await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    forget(tx.begin().await.unwrap());
    sqlx::raw_sql("insert into rentals values (1, 7, 'a', null)").execute(&mut *tx).await.unwrap();
    for error in [
        tx.updated(&rental(1, "b")).unwrap_err(),
        tx.savepoint().await.map(drop).unwrap_err(),
        tx.commit().await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::OtherDepth { expected: 1, found: 2 }), "{error:?}");
    }
    // The one connection of the pool is in no transaction any more.
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(2, "b")).unwrap();
    tx.commit().await.unwrap();
    let rentals: i64 =
        sqlx::query_scalar("select count(*) from rentals").fetch_one(&database.pool).await.unwrap();
    assert_eq!(
        (rentals, events(&database.pool).await),
        (0, vec!["Rental:2 rental_created".to_owned()])
    );
}

#[tokio::test]
async fn a_dropped_stage_panics_where_that_is_asked_for() {
    let database = migrated().await;
    let outbox = connect(&database.pool, OutboxOptions::new().panic_on_dropped_stage(true)).await;
    let panics = |drop_it: Box<dyn FnOnce() + '_>| catch_unwind(AssertUnwindSafe(drop_it)).is_err();

    let mut stage = outbox.stage();
    stage.created(&rental(1, "a")).unwrap();
    assert!(panics(Box::new(|| drop(stage))));
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    assert!(panics(Box::new(|| drop(tx))));

    let mut discarded = outbox.stage();
    discarded.created(&rental(1, "a")).unwrap();
    assert!(!panics(Box::new(|| discarded.discard())));
    let empty = outbox.begin().await.unwrap();
    assert!(!panics(Box::new(|| drop(empty))));
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.rollback().await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(2, "a")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(events(&database.pool).await, ["Rental:2 rental_created"]);
}

#[tokio::test]
async fn a_dropped_stage_is_logged_without_what_it_held() {
    listen();
    let (_database, outbox) = outbox().await;
    let mut stage = outbox.stage();
    stage.created(&rental(1, "private")).unwrap();
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "private")).unwrap();
    logged();
    drop(stage);
    drop(tx);
    let log = logged();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("ERROR") && lines[0].contains("stage dropped with events"), "{log}");
    assert!(
        lines[1].contains("WARN") && lines[1].contains("transaction dropped with staged events"),
        "{log}"
    );
    assert!(!log.contains("private") && !log.contains("Rental:1"), "{log}");
}

#[test]
fn a_transaction_can_cross_threads() {
    fn send<T: Send>() {}
    send::<OutboxTransaction<'static>>();
    send::<dionysus_producer::Stage>();
}
