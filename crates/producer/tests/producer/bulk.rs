use dionysus_producer::Error;

use crate::fixture::*;

const MANY: i64 = 10_000;

async fn inserts(pool: &sqlx::PgPool) -> Vec<i64> {
    sqlx::query_scalar("select rows from inserts").fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn ten_thousand_instances_take_one_statement_and_keep_their_order() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, COUNT_STATEMENTS).await;
    let mut tx = outbox.begin().await.unwrap();
    let rentals: Vec<Rental> = sqlx::query_as(
        "insert into rentals select n, 7, 'a', null from generate_series(1, $1) n returning *",
    )
    .bind(MANY)
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    tx.created_all(&rentals).unwrap();
    assert_eq!(i64::try_from(tx.staged()).unwrap(), MANY);
    tx.commit().await.unwrap();

    assert_eq!(inserts(&database.pool).await, [MANY]);
    let in_order: bool = sqlx::query_scalar(
        "select bool_and(ordinal = model_id::bigint and key = 'Rental:' || ordinal and partition_key = '7')
         from (select row_number() over (order by seq) as ordinal, * from dionysus.outbox) as numbered",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert!(in_order);
    assert_eq!(rows(&database.pool).await[0].payload, payload("rental_created", "a"));
}

#[tokio::test]
async fn a_call_for_many_comes_to_what_many_calls_do() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, COUNT_STATEMENTS).await;
    let canceled = |id| Rental {
        canceled_at: Some("2024-01-15T10:00:00Z".parse().unwrap()),
        ..rental(id, "canceled")
    };
    let (first, second) = ([rental(1, "a"), rental(2, "a")], [rental(2, "b"), rental(3, "b")]);
    let (third, before, after) = ([rental(1, "a"), canceled(4)], rental(5, "a"), canceled(5));
    let expected = [
        "Rental:1 rental_destroyed",
        "Rental:2 rental_created",
        "Rental:3 rental_updated",
        "Rental:4 rental_destroyed",
        "Rental:5 rental_destroyed",
        "Rental:6 rental_destroyed",
    ];

    let mut tx = outbox.begin().await.unwrap();
    tx.created_all(&first).unwrap();
    let mut savepoint = tx.savepoint().await.unwrap();
    savepoint.updated_all(second.iter().filter(|_| true)).unwrap();
    savepoint.commit().await.unwrap();
    tx.destroyed_all(&third).unwrap();
    tx.changed_all([(Some(&before), Some(&after)), (Some(&canceled(6)), None)]).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        (events(&database.pool).await, inserts(&database.pool).await),
        (expected.map(str::to_owned).to_vec(), vec![6])
    );
    let of_transaction = rows(&database.pool).await;

    execute(&database.pool, "delete from dionysus.outbox").await;
    let mut own = database.pool.begin().await.unwrap();
    let mut stage = outbox.stage();
    stage.created_all(&first).unwrap();
    stage.updated_all(&second).unwrap();
    stage.destroyed_all(&third).unwrap();
    stage.changed_all([(Some(&before), Some(&after)), (Some(&canceled(6)), None)]).unwrap();
    stage.write(&mut own).await.unwrap();
    own.commit().await.unwrap();
    assert_eq!(rows(&database.pool).await, of_transaction);
}

#[tokio::test]
async fn one_refused_instance_of_many_stages_none_and_is_named() {
    let (database, outbox) = outbox().await;
    let document =
        |code: &str| Document { code: code.to_owned(), region: "eu".to_owned(), bytes: Vec::new() };
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "staged before")).unwrap();
    let error = tx.created_all(&[document("a"), document("b\0"), document("")]).unwrap_err();
    assert!(matches!(&error, Error::Nul { model, .. } if model == "Core::Document"), "{error:?}");
    assert_eq!(error.key(), Some("Core::Document:b\0"));
    assert_eq!(tx.staged(), 1);
    tx.created_all::<Rental>(&[]).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(events(&database.pool).await, ["Rental:1 rental_created"]);
}
