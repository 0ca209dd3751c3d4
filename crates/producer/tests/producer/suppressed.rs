use dionysus_producer::{Error, OutboxOptions, OutboxTransaction};
use sqlx::Connection as _;

use crate::fixture::*;

/// Knows nothing of any scope.
async fn create(tx: &mut OutboxTransaction<'_>, id: i64) {
    let rental: Rental =
        sqlx::query_as("insert into rentals values ($1, 7, 'a', null) returning *")
            .bind(id)
            .fetch_one(&mut **tx)
            .await
            .unwrap();
    tx.created(&rental).unwrap();
}

#[tokio::test]
async fn a_suppressed_scope_changes_and_enqueues_nothing() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    create(&mut tx, 1).await;
    {
        let mut scope = tx.suppressed();
        create(&mut scope, 2).await;
        scope.updated(&rental(1, "unheard")).unwrap();
        scope.created_all(&[rental(1, "unheard")]).unwrap();
        scope.changed(Some(&rental(1, "a")), None).unwrap();
        assert_eq!(scope.staged(), 1);
    }
    create(&mut tx, 3).await;
    tx.commit().await.unwrap();
    assert_eq!(
        events(&database.pool).await,
        ["Rental:1 rental_created", "Rental:3 rental_created"]
    );
    assert_eq!(rows(&database.pool).await[0].payload, payload("rental_created", "a"));
    let rentals: i64 =
        sqlx::query_scalar("select count(*) from rentals").fetch_one(&database.pool).await.unwrap();
    assert_eq!(rentals, 3);
}

#[tokio::test]
async fn scopes_and_savepoints_nest_in_either_order() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    {
        let mut scope = tx.suppressed();
        let mut savepoint = scope.savepoint().await.unwrap();
        create(&mut savepoint, 1).await;
        create(&mut savepoint.suppressed(), 2).await;
        create(&mut savepoint, 3).await;
        savepoint.commit().await.unwrap();
        create(&mut scope, 4).await;
    }
    let mut savepoint = tx.savepoint().await.unwrap();
    create(&mut savepoint.suppressed(), 5).await;
    create(&mut savepoint, 6).await;
    savepoint.commit().await.unwrap();
    let mut savepoint = tx.savepoint().await.unwrap();
    let mut scope = savepoint.suppressed();
    create(&mut scope, 7).await;
    drop(scope);
    savepoint.rollback().await.unwrap();
    create(&mut tx, 8).await;
    tx.commit().await.unwrap();
    assert_eq!(
        events(&database.pool).await,
        ["Rental:6 rental_created", "Rental:8 rental_created"]
    );
}

#[tokio::test]
async fn nothing_is_looked_at_in_a_scope_but_the_depth_of_nesting() {
    let (_database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    let mut scope = tx.suppressed();
    scope.created(&Stranger { id: 1 }).unwrap();
    std::mem::forget(scope.begin().await.unwrap());
    let error = scope.created(&rental(1, "a")).unwrap_err();
    assert!(matches!(error, Error::OtherDepth { expected: 1, found: 2 }), "{error:?}");
    drop(scope);
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn an_outbox_that_is_off_enqueues_nothing() {
    let database = migrated().await;
    let outbox = connect(&database.pool, OutboxOptions::new().enabled(false)).await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.suppressed().updated(&rental(1, "b")).unwrap();
    tx.updated(&rental(1, "c")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(events(&database.pool).await, Vec::<String>::new());
}
