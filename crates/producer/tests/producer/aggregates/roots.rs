use super::*;

#[tokio::test]
async fn an_aggregate_holds_what_its_transaction_leaves_however_early_it_was_staged() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    let first = order(&mut tx, "insert into orders (id, note) values (1, 'new') returning *").await;
    tx.created(&first).unwrap();
    for sql in [
        "insert into lines values (12, 1, 'b') returning *",
        "insert into lines values (11, 1, 'a') returning *",
    ] {
        let line = line(&mut tx, sql).await;
        tx.created(&line).unwrap();
    }
    order(&mut tx, "update orders set note = 'done' where id = 1 returning *").await;
    assert_eq!(tx.staged(), 1);
    tx.commit().await.unwrap();
    let rows = crate::fixture::rows(&database.pool).await;
    assert_eq!(
        rows[0].payload,
        r#"{"message":[{"event":"order_created","model_name":"Order","data":[{"id":1,"account_id":7,"note":"done","canceled_at":null,"links":{"customer":null,"lines":[11,12]},"lines":[{"id":11,"text":"a","links":{}},{"id":12,"text":"b","links":{}}]}]}]}"#
    );
    assert_eq!((rows.len(), rows[0].partition_key.as_deref()), (1, Some("7")));
}

/// W11, W12: the gem looks for the parent when it publishes, and finds only the last.
#[tokio::test]
async fn a_part_publishes_the_root_it_had_and_the_root_it_has() {
    let (database, outbox) = outbox().await;
    execute(
        &database.pool,
        "insert into orders (id) values (1), (2); insert into lines values (11, 1, 'a'), (12, 1, 'b')",
    )
    .await;
    let lock = "select * from lines where id = 11 for update";
    for (change, after) in [
        ("update lines set order_id = 2 where id = 11 returning *", true),
        ("delete from lines where id = 11 returning *", false),
    ] {
        let mut tx = outbox.begin().await.unwrap();
        let before = line(&mut tx, lock).await;
        let changed = line(&mut tx, change).await;
        tx.changed(Some(&before), after.then_some(&changed)).unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = outbox.begin().await.unwrap();
    let orphan = line(&mut tx, "insert into lines values (13, null, 'c') returning *").await;
    tx.created(&orphan).unwrap();
    let stray = line(&mut tx, "insert into lines values (14, 99, 'd') returning *").await;
    tx.created(&stray).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        published(&database).await,
        [
            "order_updated Order:1 [b]",
            "order_updated Order:2 [a]",
            // Then deleted; an orphan, or a part whose root is not there, has nobody to publish.
            "order_updated Order:2 []",
        ]
    );
}

#[tokio::test]
async fn a_part_that_its_topic_publishes_too_gives_both_messages() {
    let builder = Topology::builder().namespace("v3", |ns| {
        ns.topic("orders", |t| t.publish::<Order>().with::<Line>().publish::<Line>())
    });
    let (database, outbox) = connect(builder).await;
    execute(&database.pool, "insert into orders (id) values (1)").await;
    let mut tx = outbox.begin().await.unwrap();
    let part = line(&mut tx, "insert into lines values (11, 1, 'a') returning *").await;
    tx.created(&part).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(published(&database).await, ["line_created Line:11", "order_updated Order:1 [a]"]);
}

#[tokio::test]
async fn a_part_that_did_not_change_publishes_nothing() {
    let (database, outbox) = outbox().await;
    execute(
        &database.pool,
        "insert into orders (id) values (1); insert into lines values (11, 1, 'a')",
    )
    .await;
    let mut tx = outbox.begin().await.unwrap();
    let before = line(&mut tx, "select * from lines where id = 11 for update").await;
    let after = line(&mut tx, "update lines set text = 'a' where id = 11 returning *").await;
    tx.changed(Some(&before), Some(&after)).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(published(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_soft_deleted_root_is_published_whole_and_a_deleted_one_by_its_id() {
    let (database, outbox) = outbox().await;
    execute(
        &database.pool,
        "insert into orders (id) values (1); insert into lines values (11, 1, 'a')",
    )
    .await;
    let mut tx = outbox.begin().await.unwrap();
    let before = order(&mut tx, "select * from orders for update").await;
    let after = order(&mut tx, "update orders set canceled_at = now() returning *").await;
    tx.changed(Some(&before), Some(&after)).unwrap();
    tx.commit().await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    let gone = line(&mut tx, "delete from lines returning *").await;
    tx.destroyed(&gone).unwrap();
    let gone = order(&mut tx, "delete from orders returning *").await;
    tx.changed(Some(&gone), None).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        published(&database).await,
        ["order_destroyed Order:1 [a]", "order_destroyed Order:1"]
    );
}

/// W18: the gem loads through the model's default scope, which hides what is soft-deleted: its update is lost, and of its end only the id is left.
#[tokio::test]
async fn what_is_soft_deleted_is_read_whole_by_its_id_and_by_its_parts() {
    let (database, outbox) = outbox().await;
    execute(
        &database.pool,
        "insert into orders (id, note, canceled_at) values (1, 'x', '2024-02-01'), (2, '', null);
         insert into lines values (11, 1, 'a'), (12, 2, 'b')",
    )
    .await;
    let mut tx = outbox.begin().await.unwrap();
    tx.updated_by_id::<Order>(1).unwrap();
    tx.commit().await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    let part = line(&mut tx, "update lines set text = 'c' where id = 11 returning *").await;
    tx.updated(&part).unwrap();
    tx.commit().await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    let before = order(&mut tx, "select * from orders where id = 2 for update").await;
    let canceled = "update orders set canceled_at = '2024-02-01' where id = 2 returning *";
    let after = order(&mut tx, canceled).await;
    tx.changed(Some(&before), Some(&after)).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        published(&database).await,
        ["order_updated Order:1 [a]", "order_updated Order:1 [c]", "order_destroyed Order:2 [b]"]
    );
    let rows = crate::fixture::rows(&database.pool).await;
    assert_eq!(
        rows[1].payload,
        r#"{"message":[{"event":"order_updated","model_name":"Order","data":[{"id":1,"account_id":7,"note":"x","canceled_at":"2024-02-01T00:00:00.000Z","links":{"customer":null,"lines":[11]},"lines":[{"id":11,"text":"c","links":{}}]}]}]}"#
    );
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "stays", partition_key = "account_id")]
struct Stay {
    id: i64,
    account_id: Option<i64>,
    #[publishable(link = "host")]
    host_id: i64,
    #[sqlx(skip)]
    #[publishable(part)]
    host: Part<Option<Host>>,
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "hosts")]
struct Host {
    id: i64,
    name: String,
}

/// W34: the gem gives the messages of all parents the key and the partition key of the first.
#[tokio::test]
async fn each_root_of_a_shared_part_has_its_own_key_and_partition_key() {
    let builder = Topology::builder()
        .namespace("v3", |ns| ns.topic("stays", |t| t.publish::<Stay>().with::<Host>()));
    let (database, outbox) = connect(builder).await;
    execute(
        &database.pool,
        "create table hosts (id bigint primary key, name text); insert into hosts values (5, 'Ann'), (6, 'Bo');
         create table stays (id bigint primary key, account_id bigint, host_id bigint);
         insert into stays values (1, 7, 5), (2, 8, 5), (3, null, 5), (4, 7, 6)",
    )
    .await;
    let mut tx = outbox.begin().await.unwrap();
    let host: Host = sqlx::query_as("update hosts set name = 'Anna' where id = 5 returning *")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    tx.updated(&host).unwrap();
    tx.commit().await.unwrap();
    let rows = crate::fixture::rows(&database.pool).await;
    let keys: Vec<_> =
        rows.iter().map(|row| (&*row.key, row.partition_key.as_deref(), &*row.event)).collect();
    assert_eq!(
        keys,
        [
            ("Stay:1", Some("7"), "stay_updated"),
            ("Stay:2", Some("8"), "stay_updated"),
            ("Stay:3", None, "stay_updated"),
        ]
    );
    for (row, id) in rows.iter().zip(1..) {
        let host = r#""links":{"host":5},"host":{"id":5,"name":"Anna","links":{}}}]}]}"#;
        let data = format!(r#""data":[{{"id":{id},"#);
        assert!(row.payload.contains(&data) && row.payload.ends_with(host), "{}", row.payload);
    }
}

#[tokio::test]
async fn what_is_staged_by_id_is_read_at_commit() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1), (2); insert into lines values (11, 1, 'a'), (12, 2, 'b')").await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created_by_id::<Order>(1).unwrap();
    // A part leads to its root.
    tx.updated_by_id::<Line>(12).unwrap();
    execute_on(&mut tx, "update lines set text = text || '!'").await;
    tx.commit().await.unwrap();
    // Gone at commit, or never there: nothing to publish.
    let mut tx = outbox.begin().await.unwrap();
    tx.created_by_id::<Order>(2).unwrap();
    tx.updated_by_id::<Order>(3).unwrap();
    execute_on(&mut tx, "delete from orders where id = 2").await;
    tx.commit().await.unwrap();
    assert_eq!(
        published(&database).await,
        ["order_created Order:1 [a!]", "order_updated Order:2 [b!]"]
    );
}

#[tokio::test]
async fn a_savepoint_takes_its_roots_with_it_or_hands_them_on() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1), (2)").await;
    let mut tx = outbox.begin().await.unwrap();
    let mut undone = tx.savepoint().await.unwrap();
    let part = line(&mut undone, "insert into lines values (11, 1, 'a') returning *").await;
    undone.created(&part).unwrap();
    undone.rollback().await.unwrap();
    let mut kept = tx.savepoint().await.unwrap();
    let part = line(&mut kept, "insert into lines values (12, 2, 'b') returning *").await;
    kept.created(&part).unwrap();
    kept.commit().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(published(&database).await, ["order_updated Order:2 [b]"]);
}

#[tokio::test]
async fn suppressed_changes_of_parts_publish_no_root() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1)").await;
    let mut tx = outbox.begin().await.unwrap();
    let part = line(&mut tx, "insert into lines values (11, 1, 'a') returning *").await;
    tx.suppressed().created(&part).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(published(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stage_on_the_applications_own_transaction_reads_its_roots_too() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1)").await;
    let mut tx = database.pool.begin().await.unwrap();
    let part: Line = sqlx::query_as("insert into lines values (11, 1, 'a') returning *")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let mut stage = outbox.stage();
    stage.created(&part).unwrap();
    assert!(!stage.is_empty());
    stage.write(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(published(&database).await, ["order_updated Order:1 [a]"]);
}

async fn execute_on(tx: &mut OutboxTransaction<'_>, sql: &'static str) {
    sqlx::query(sql).execute(&mut **tx).await.unwrap();
}
