use dionysus_postgres::outbox::{self, NewRow};
use dionysus_postgres::window::Limit;
use sqlx::Connection;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use crate::support::{append_all, database};

#[tokio::test]
async fn numbers_ascend_in_the_order_of_the_call_and_the_transaction_has_its_id_before() {
    let database = database().await;
    let mut tx = database.pool.begin().await.unwrap();
    append_all(&mut tx, &[("b", "Rental:3"), ("a", "Rental:1"), ("c", "Rental:2")]).await;
    tx.commit().await.unwrap();
    let keys: Vec<String> = sqlx::query_scalar("select key from dionysus.outbox order by seq")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(keys, ["Rental:3", "Rental:1", "Rental:2"]);
    let distinct: i64 = sqlx::query_scalar("select count(distinct xid) from dionysus.outbox")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(distinct, 1);
}

#[tokio::test]
async fn a_transaction_with_asynchronous_commit_is_made_synchronous() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    for (before, after) in [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")] {
        let mut tx = conn.begin().await.unwrap();
        sqlx::query("select set_config('synchronous_commit', $1, true)")
            .bind(before)
            .execute(&mut *tx)
            .await
            .unwrap();
        append_all(&mut tx, &[("a", "Rental:1")]).await;
        let now: String = sqlx::query_scalar("select current_setting('synchronous_commit')")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(now, after, "before: {before}");
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn all_fields_arrive_as_given() {
    let database = database().await;
    let headers = serde_json::json!({"traceparent": "00-1-2-01"});
    let row = NewRow {
        event_id: Uuid::now_v7(),
        topic: "v3_rentals",
        key: "Rental:é\"1",
        partition_key: Some("7"),
        event: "rental_created",
        model: "Rental",
        model_id: "é\"1",
        payload: Some(&[0, 255, 10]),
        headers: Some(&headers),
    };
    let mut conn = database.pool.acquire().await.unwrap();
    outbox::append(&mut conn, &[row]).await.unwrap();
    let mut reader = crate::support::reader(&database).await;
    let window = reader
        .fresh(&dionysus_core::Snapshot::beginning(), &["v3_rentals".to_owned()], Limit::rows(10))
        .await
        .unwrap();
    let read = &window.rows[0];
    assert_eq!(read.topic().unwrap(), row.topic);
    assert_eq!(read.key().unwrap(), row.key);
    assert_eq!(read.partition_key().unwrap(), row.partition_key);
    assert_eq!(read.payload().unwrap(), row.payload);
    assert_eq!(read.event_id().unwrap(), row.event_id);
    assert_eq!(read.headers().unwrap().as_ref(), row.headers);
}

#[tokio::test]
async fn a_wake_up_reaches_listeners() {
    let database = database().await;
    let mut listener = PgListener::connect_with(&database.pool).await.unwrap();
    listener.listen(outbox::WAKE_UP_CHANNEL).await.unwrap();
    outbox::wake_up(&database.pool).await.unwrap();
    assert_eq!(listener.recv().await.unwrap().channel(), outbox::WAKE_UP_CHANNEL);
}
