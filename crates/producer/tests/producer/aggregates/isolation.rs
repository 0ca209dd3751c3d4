use dionysus_producer::Error;

use super::*;
use crate::fixture::execute;

#[tokio::test]
async fn an_aggregate_above_read_committed_is_refused_with_the_reason_and_rolled_back() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1); insert into customers values (3, 'Ann'); update orders set customer_id = 3").await;
    for level in ["begin isolation level repeatable read", "begin isolation level serializable"] {
        let mut tx = outbox.begin_with(level).await.unwrap();
        let part = line(&mut tx, "insert into lines values (11, 1, 'a') returning *").await;
        tx.created(&part).unwrap();
        refused(tx).await;

        let mut tx = outbox.begin_with(level).await.unwrap();
        let after = customer(&mut tx, "update customers set name = 'Anna' returning *").await;
        tx.updated(&after).unwrap();
        refused(tx).await;
    }
    let lines: i64 =
        sqlx::query_scalar("select count(*) from lines").fetch_one(&database.pool).await.unwrap();
    assert_eq!((lines, published(&database).await.len()), (0, 0));
}

/// The other side of a race may be READ COMMITTED: it is the one above that would miss a part.
#[tokio::test]
async fn of_two_mixed_levels_the_one_above_is_refused_even_after_it_waited() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1)").await;
    let mut above = outbox.begin_with("begin isolation level repeatable read").await.unwrap();
    let part = line(&mut above, "insert into lines values (11, 1, 'above') returning *").await;
    above.created(&part).unwrap();
    let mut below = outbox.begin().await.unwrap();
    let part = line(&mut below, "insert into lines values (12, 1, 'below') returning *").await;
    below.created(&part).unwrap();
    below.commit().await.unwrap();
    refused(above).await;
    assert_eq!(published(&database).await, ["order_updated Order:1 [below]"]);
}

#[tokio::test]
async fn a_column_that_is_not_there_is_named() {
    let builder = Topology::builder().namespace("v3", |ns| {
        ns.topic("orders", |t| t.publish::<Order>().observe::<Customer>(["name"], "client_id"))
    });
    let (_database, outbox) = connect(builder).await;
    let mut tx = outbox.begin().await.unwrap();
    let new = Customer { id: 3, name: Some("Ann".into()), city: None, region_id: None };
    tx.created(&new).unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(error.to_string().contains("`orders` has no column `client_id`"), "{error}");
    assert!(error.remedy().unwrap().contains("observe"));
}

/// The type of a column is asked once; after it changed, one statement fails and the next asks again.
#[tokio::test]
async fn a_column_that_changes_its_type_is_asked_for_again() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "alter table lines alter order_id type int; insert into orders (id) values (1), (3000000000)").await;
    let mut errors = 0;
    for id in [1_i64, 3_000_000_000, 3_000_000_000] {
        if id > 1 {
            execute(&database.pool, "alter table lines alter order_id type bigint").await;
        }
        let mut tx = outbox.begin().await.unwrap();
        tx.updated_by_id::<Order>(id).unwrap();
        errors += usize::from(tx.commit().await.is_err());
    }
    assert_eq!((errors, published(&database).await.len()), (1, 2));
}

async fn refused(tx: OutboxTransaction<'_>) {
    let error = tx.commit().await.unwrap_err();
    let Error::Postgres(dionysus_postgres::Error::AboveReadCommitted) = &error else {
        panic!("{error:?}")
    };
    assert!(error.remedy().unwrap().contains("READ COMMITTED"));
}
