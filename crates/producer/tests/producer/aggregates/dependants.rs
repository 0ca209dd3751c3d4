use dionysus_producer::{Error, Mistake, Path};

use super::*;
use crate::fixture::execute;

const CUSTOMERS: &str = "
    insert into regions values (5, 'North');
    insert into customers values (3, 'Ann', 'Riga', 5), (4, 'Bo', null, 5);
    insert into orders (id, customer_id) values (1, 3), (2, 3), (8, 4);
    insert into lines values (11, 1, 'a')";

#[tokio::test]
async fn dependants_follow_the_attributes_that_changed() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, CUSTOMERS).await;
    for (change, note) in [
        ("update customers set city = 'Oslo' where id = 3 returning *", "not observed"),
        ("update customers set name = 'Anna' where id = 3 returning *", "observed"),
        ("update customers set name = null where id = 4 returning *", "to null"),
    ] {
        let id = if change.contains("id = 4") { "4" } else { "3" };
        let mut tx = outbox.begin().await.unwrap();
        let lock = format!("select * from customers where id = {id} for update");
        let before: Customer =
            sqlx::query_as(sqlx::AssertSqlSafe(lock)).fetch_one(&mut *tx).await.unwrap();
        let after = customer(&mut tx, change).await;
        tx.changed(Some(&before), Some(&after)).unwrap_or_else(|error| panic!("{note}: {error}"));
        tx.commit().await.unwrap();
    }
    assert_eq!(
        published(&database).await,
        ["order_updated Order:1 [a]", "order_updated Order:2 []", "order_updated Order:8 []"]
    );
}

#[tokio::test]
async fn a_dependant_is_published_once_and_under_the_event_it_has_anyway() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, CUSTOMERS).await;
    let mut tx = outbox.begin().await.unwrap();
    let new =
        order(&mut tx, "insert into orders (id, customer_id) values (9, 4) returning *").await;
    tx.created(&new).unwrap();
    for _ in 0..2 {
        // Without the state before, every attribute counts as changed.
        let after =
            customer(&mut tx, "update customers set name = 'Bob' where id = 4 returning *").await;
        tx.updated(&after).unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(
        published(&database).await,
        ["order_created Order:9 []", "order_updated Order:8 []"]
    );
}

#[tokio::test]
async fn a_chain_of_tables_is_walked_and_a_deleted_observed_instance_still_leads_there() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, CUSTOMERS).await;
    let mut tx = outbox.begin().await.unwrap();
    let region: Region =
        sqlx::query_as("select * from regions for update").fetch_one(&mut *tx).await.unwrap();
    let renamed = Region { name: "South".into(), ..region.clone() };
    sqlx::query("update regions set name = 'South'").execute(&mut *tx).await.unwrap();
    tx.changed(Some(&region), Some(&renamed)).unwrap();
    tx.commit().await.unwrap();
    // W13: the gem finds nothing any more.
    let mut tx = outbox.begin().await.unwrap();
    let gone = customer(&mut tx, "delete from customers where id = 3 returning *").await;
    tx.changed(Some(&gone), None).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        published(&database).await,
        [
            "order_updated Order:1 [a]",
            "order_updated Order:2 []",
            "order_updated Order:8 []",
            "order_updated Order:1 [a]",
            "order_updated Order:2 []",
        ]
    );
}

/// W14: the gem takes the second change for a duplicate of the first, whatever attributes it is of, and forgets the first's dependants.
#[tokio::test]
async fn two_changes_of_one_instance_publish_the_dependants_of_both() {
    let builder = Topology::builder().namespace("v3", |ns| {
        ns.topic("orders", |t| {
            t.publish::<Order>()
                .with::<Line>()
                .observe::<Customer>(["name"], "customer_id")
                .observe::<Customer>(["city"], "account_id")
        })
    });
    let (database, outbox) = connect(builder).await;
    execute(
        &database.pool,
        "insert into customers values (3, 'Ann', 'Riga');
         insert into orders (id, customer_id, account_id) values (1, 3, 0), (2, 4, 3), (8, 4, 0)",
    )
    .await;
    for within_savepoint in [false, true] {
        let mut tx = outbox.begin().await.unwrap();
        let first = customer(&mut tx, "select * from customers for update").await;
        let named = customer(&mut tx, "update customers set name = name || '!' returning *").await;
        tx.changed(Some(&first), Some(&named)).unwrap();
        let moving = "update customers set city = city || '!' returning *";
        if within_savepoint {
            let mut savepoint = tx.savepoint().await.unwrap();
            let moved = customer(&mut savepoint, moving).await;
            savepoint.changed(Some(&named), Some(&moved)).unwrap();
            savepoint.commit().await.unwrap();
        } else {
            let moved = customer(&mut tx, moving).await;
            tx.changed(Some(&named), Some(&moved)).unwrap();
        }
        tx.commit().await.unwrap();
    }
    assert_eq!(
        published(&database).await,
        ["order_updated Order:1 []", "order_updated Order:2 []"].repeat(2)
    );
}

/// W24: the gem walks the associations when the row is written, and again when it is published, whatever has become of them meanwhile.
#[tokio::test]
async fn dependants_are_those_that_the_commit_leaves() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, CUSTOMERS).await;
    let mut tx = outbox.begin().await.unwrap();
    let before = customer(&mut tx, "select * from customers where id = 3 for update").await;
    let after =
        customer(&mut tx, "update customers set name = 'Anna' where id = 3 returning *").await;
    tx.changed(Some(&before), Some(&after)).unwrap();
    // After the change was stated: one goes, one comes, and one comes by another transaction.
    sqlx::raw_sql("update orders set customer_id = 4 where id = 2; update orders set customer_id = 3 where id = 8")
        .execute(&mut *tx)
        .await
        .unwrap();
    execute(&database.pool, "insert into orders (id, customer_id) values (9, 3)").await;
    tx.commit().await.unwrap();
    let committed =
        ["order_updated Order:1 [a]", "order_updated Order:8 []", "order_updated Order:9 []"];
    assert_eq!(published(&database).await, committed);

    // What comes, goes or moves away before the relay reads does not change what was committed.
    let mut tx = outbox.begin().await.unwrap();
    let later =
        order(&mut tx, "insert into orders (id, customer_id) values (10, 3) returning *").await;
    tx.created(&later).unwrap();
    tx.commit().await.unwrap();
    execute(&database.pool, "update orders set customer_id = 4; delete from lines").await;
    let [first @ .., last] = &*published(&database).await else { panic!("nothing is published") };
    assert_eq!((first, &**last), (&committed.map(str::to_owned)[..], "order_created Order:10 []"));
}

#[derive(Clone, Debug, FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "notes")]
struct Note {
    id: i64,
    order_id: Option<i64>,
    text: String,
}

#[tokio::test]
async fn a_path_that_begins_with_an_attribute_leads_to_the_old_and_the_new_dependant() {
    let builder = Topology::builder().namespace("v3", |ns| {
        ns.topic("orders", |t| {
            t.publish::<Order>()
                .with::<Line>()
                .observe::<Note>(["text"], Path::named_by("order_id"))
        })
    });
    let (database, outbox) = connect(builder).await;
    execute(&database.pool, CUSTOMERS).await;
    let note = |order_id, text: &str| Note { id: 1, order_id, text: text.to_owned() };
    for (before, after) in [
        (note(Some(1), "a"), note(Some(2), "a")),
        (note(Some(2), "a"), note(Some(2), "a")),
        (note(Some(2), "a"), note(None, "b")),
    ] {
        let mut tx = outbox.begin().await.unwrap();
        tx.changed(Some(&before), Some(&after)).unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(
        published(&database).await,
        ["order_updated Order:1 [a]", "order_updated Order:2 []", "order_updated Order:2 []"]
    );
}

#[tokio::test]
async fn exactly_the_limit_is_published_inline_and_one_more_requests_a_run_in_the_same_transaction()
{
    let (database, outbox) = connect(builder().inline_dependants(3)).await;
    execute(
        &database.pool,
        "insert into customers values (3, 'Ann'), (4, 'Bo');
         insert into orders (id, customer_id) select n, 3 from generate_series(1, 3) n;
         insert into orders (id, customer_id) select n, 4 from generate_series(11, 14) n",
    )
    .await;
    for (id, commit) in [(3, true), (4, false), (4, true)] {
        let mut tx = outbox.begin().await.unwrap();
        let new = Customer { id, name: Some("new".into()), city: None, region_id: None };
        tx.changed(Some(&Customer { name: None, ..new.clone() }), Some(&new)).unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
    }
    assert_eq!(published(&database).await.len(), 3);
    let runs: Vec<(String, String, String, String, Value)> = sqlx::query_as(
        "select topic, model, state, requested_by, selection from dionysus.genesis_runs",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let selection =
        serde_json::json!({ "path": { "hops": [], "column": "customer_id" }, "values": ["4"] });
    let text = str::to_owned;
    assert_eq!(
        runs,
        [(text("v3_orders"), text("Order"), text("requested"), text("Customer"), selection)]
    );
}

#[test]
fn an_observer_of_nothing_or_of_what_is_not_there_is_a_mistake_with_its_place() {
    let built = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("orders", |t| {
                t.publish::<Order>()
                    .observe::<Customer>(["nmae"], "customer_id")
                    .observe::<Customer>(Vec::<String>::new(), "customer_id")
                    .observe::<Note>(["text"], Path::named_by("oder_id"))
            })
        })
        .build();
    let Err(Error::Topology { mistakes }) = built else { panic!("mistakes") };
    let attributes: Vec<_> = mistakes
        .iter()
        .map(|mistake| match mistake {
            Mistake::UnknownObservedAttribute { attribute, .. } => attribute.as_str(),
            Mistake::NothingObserved { .. } => "nothing",
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(attributes, ["nmae", "nothing", "oder_id"]);
}
