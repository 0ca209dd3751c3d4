use dionysus_producer::Topology;

use crate::fixture::*;

#[tokio::test]
async fn events_are_written_at_commit_in_one_statement_and_not_before() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, COUNT_STATEMENTS).await;
    let mut tx = outbox.begin().await.unwrap();
    for id in 1..=50 {
        tx.created(&rental(id, "a")).unwrap();
        tx.updated(&rental(id, "b")).unwrap();
    }
    assert_eq!(tx.staged(), 50);
    let before: i64 = sqlx::query_scalar("select count(*) from dionysus.outbox")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let inserts: Vec<i64> =
        sqlx::query_scalar("select rows from inserts").fetch_all(&database.pool).await.unwrap();
    assert_eq!((before, inserts), (0, vec![50]));
}

#[tokio::test]
async fn a_row_has_the_gems_key_partition_key_and_bytes() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    let rental: Rental =
        sqlx::query_as("insert into rentals values (1, 7, 'Villa <Saganaki>', null) returning *")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
    tx.created(&rental).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        rows(&database.pool).await,
        [Row {
            topic: "v3_rentals".into(),
            key: "Rental:1".into(),
            partition_key: Some("7".into()),
            event: "rental_created".into(),
            model: "Rental".into(),
            model_id: "1".into(),
            payload: payload("rental_created", r"Villa \u003cSaganaki\u003e"),
        }]
    );
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select event_id from dionysus.outbox")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(ids[0].get_version_num(), 7);
}

#[tokio::test]
async fn a_snapshot_is_frozen_when_it_is_staged() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    let mut rental = rental(1, "before");
    tx.updated(&rental).unwrap();
    "after".clone_into(&mut rental.name);
    tx.commit().await.unwrap();
    assert_eq!(rows(&database.pool).await[0].payload, payload("rental_updated", "before"));
}

#[tokio::test]
async fn an_instance_that_is_gone_leaves_its_id_and_a_soft_deleted_one_its_snapshot() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.destroyed(&rental(1, "gone")).unwrap();
    tx.destroyed(&Rental {
        canceled_at: Some("2022-08-22T08:01:47.123456Z".parse().unwrap()),
        ..rental(2, "canceled")
    })
    .unwrap();
    tx.commit().await.unwrap();
    let payloads: Vec<_> = rows(&database.pool).await.into_iter().map(|row| row.payload).collect();
    assert_eq!(
        payloads,
        [
            r#"{"message":[{"event":"rental_destroyed","model_name":"Rental","data":[{"links":{},"id":1}]}]}"#,
            r#"{"message":[{"event":"rental_destroyed","model_name":"Rental","data":[{"id":2,"account_id":7,"name":"canceled","canceled_at":"2022-08-22T08:01:47.123Z","links":{}}]}]}"#,
        ]
    );
}

#[tokio::test]
async fn a_coalesced_event_carries_the_name_it_was_coalesced_to() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "first")).unwrap();
    tx.created(&rental(2, "first")).unwrap();
    tx.updated(&rental(1, "last")).unwrap();
    tx.destroyed(&rental(2, "first")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        events(&database.pool).await,
        ["Rental:1 rental_created", "Rental:2 rental_destroyed"]
    );
    assert_eq!(rows(&database.pool).await[0].payload, payload("rental_created", "last"));
}

#[tokio::test]
async fn a_model_of_several_topics_gives_a_row_for_each_and_none_for_a_twin() {
    let database = migrated().await;
    let topology = Topology::builder()
        .namespace("v3", |ns| ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>()))
        .namespace("v4", |ns| ns.topic("rentals", |t| t.partition_key("name").publish::<Rental>()))
        .build()
        .unwrap();
    let outbox = dionysus_producer::Outbox::connect(database.pool.clone(), topology).await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.updated(&rental(1, "b")).unwrap();
    tx.commit().await.unwrap();
    let rows: Vec<_> = rows(&database.pool)
        .await
        .into_iter()
        .map(|row| (row.topic, row.partition_key, row.event))
        .collect();
    let created = || "rental_created".to_owned();
    assert_eq!(
        rows,
        [
            ("v3_rentals".to_owned(), Some("7".to_owned()), created()),
            ("v4_rentals".to_owned(), Some("b".to_owned()), created()),
        ]
    );
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_or_dropped_leaves_nothing_for_the_next() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "rolled back")).unwrap();
    tx.rollback().await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    tx.destroyed(&rental(2, "dropped")).unwrap();
    drop(tx);
    let mut tx = outbox.begin().await.unwrap();
    tx.updated(&rental(3, "committed")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(events(&database.pool).await, ["Rental:3 rental_updated"]);
}

#[tokio::test]
async fn a_transaction_of_the_application_carries_a_stage() {
    let (database, outbox) = outbox().await;
    let mut tx = database.pool.begin().await.unwrap();
    let mut stage = outbox.stage();
    stage.created(&rental(1, "a")).unwrap();
    stage.write(&mut tx).await.unwrap();
    assert_eq!(events(&database.pool).await, Vec::<String>::new());
    tx.commit().await.unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    let mut stage = outbox.stage();
    stage.updated(&rental(1, "b")).unwrap();
    stage.write(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(events(&database.pool).await, ["Rental:1 rental_created"]);
}

#[tokio::test]
async fn the_outbox_turns_synchronous_commit_on_for_the_transaction() {
    let (database, outbox) = outbox().await;
    let mut conn = database.pool.acquire().await.unwrap();
    sqlx::raw_sql("set synchronous_commit = off").execute(&mut *conn).await.unwrap();
    let mut own = sqlx::Connection::begin(&mut *conn).await.unwrap();
    let show = "select current_setting('synchronous_commit')";
    let mut tx = outbox.begin_on(&mut own).await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    let before: String = sqlx::query_scalar(show).fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let within: String = sqlx::query_scalar(show).fetch_one(&mut *own).await.unwrap();
    own.commit().await.unwrap();
    let after: String = sqlx::query_scalar(show).fetch_one(&mut *conn).await.unwrap();
    assert_eq!([before, within, after], ["off", "on", "off"]);
}

#[tokio::test]
async fn a_transaction_can_begin_with_a_statement_of_the_application() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin_with("begin isolation level repeatable read").await.unwrap();
    let level: String = sqlx::query_scalar("select current_setting('transaction_isolation')")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!((level.as_str(), rows(&database.pool).await.len()), ("repeatable read", 1));
}
