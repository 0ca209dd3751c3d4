use super::*;
use crate::fixture::execute;
use crate::log::{listen, logged};

/// W52, W62: however many aggregates a transaction publishes, and however many parts they have, the statements are the same: a lookup for each path, one
/// that locks and reads the roots, one for each kind of part, one that writes. All come at the end; a change that is staged asks the database nothing.
#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_instances() {
    listen();
    let (database, outbox) = outbox().await;
    execute(
        &database.pool,
        "insert into regions select n, 'r' from generate_series(1, 900) n;
         insert into customers select n, 'c', null, n from generate_series(1, 900) n;
         insert into orders (id, customer_id) select n, n from generate_series(1, 900) n;
         insert into lines select n, n % 900 + 1, 'a' from generate_series(1, 2700) n",
    )
    .await;
    let mut counts = Vec::new();
    // The first asks the catalog for the types of the columns.
    for size in [1_i64, 1, 900] {
        let mut tx = outbox.begin().await.unwrap();
        let regions: Vec<Region> =
            sqlx::query_as("update regions set name = name || '!' where id <= $1 returning *")
                .bind(size)
                .fetch_all(&mut *tx)
                .await
                .unwrap();
        let customers: Vec<Customer> =
            sqlx::query_as("update customers set name = name || '!' where id <= $1 returning *")
                .bind(size)
                .fetch_all(&mut *tx)
                .await
                .unwrap();
        let lines: Vec<Line> =
            sqlx::query_as("update lines set text = text || '!' where order_id <= $1 returning *")
                .bind(size)
                .fetch_all(&mut *tx)
                .await
                .unwrap();
        logged();
        tx.updated_all(&regions).unwrap();
        tx.updated_all(&customers).unwrap();
        tx.updated_all(&lines).unwrap();
        assert_eq!(statements(), 0);
        tx.commit().await.unwrap();
        counts.push(statements());
    }
    let published = published(&database).await;
    assert_eq!(published.len(), 902);
    assert!(published.last().unwrap().ends_with("[a! a! a!]"), "{:?}", published.last());
    // Types; two lookups, roots, parts, rows, commit.
    assert_eq!(counts, [7, 6, 6]);
}

#[tokio::test]
async fn without_anything_to_read_a_commit_is_one_statement_more_than_without_outbox() {
    listen();
    let (_database, outbox) = crate::fixture::outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&crate::fixture::rental(1, "a")).unwrap();
    logged();
    tx.commit().await.unwrap();
    assert_eq!(statements(), 2);
}

/// But for wake-ups, which a task sends when it comes to it.
fn statements() -> usize {
    let log = logged();
    log.lines().filter(|line| line.contains("sqlx::query") && !line.contains("pg_notify")).count()
}
