use tokio::task::JoinSet;

use crate::fixture::*;

const WRITERS: i64 = 8;
const CHANGES: i64 = 25;

/// Each writer counts two instances up, in transactions of different lengths; the number in the snapshot is the order of commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn per_instance_rows_follow_each_other_in_the_order_of_commits() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into rentals values (1, 0, 'a', null), (2, 0, 'b', null)")
        .await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let outbox = outbox.clone();
        writers.spawn(async move {
            for change in 0..CHANGES {
                let mut tx = outbox.begin().await.unwrap();
                let sql =
                    "update rentals set account_id = account_id + 1 where id = $1 returning *";
                let rental: Rental = sqlx::query_as(sql)
                    .bind(1 + (writer + change) % 2)
                    .fetch_one(&mut *tx)
                    .await
                    .unwrap();
                tx.updated(&rental).unwrap();
                if (writer + change) % 3 == 0 {
                    sqlx::query("select pg_sleep(0.002)").execute(&mut *tx).await.unwrap();
                }
                if (writer * change) % 7 == 1 {
                    tx.rollback().await.unwrap();
                } else {
                    tx.commit().await.unwrap();
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let rows = rows(&database.pool).await;
    for id in [1, 2] {
        let key = format!("Rental:{id}");
        let counts: Vec<i64> = rows
            .iter()
            .filter(|row| row.key == key)
            .map(|row| row.partition_key.as_deref().unwrap().parse().unwrap())
            .collect();
        assert!(counts.len() > 50, "{counts:?}");
        assert_eq!(
            counts,
            (1..).take(counts.len()).collect::<Vec<i64>>(),
            "each committed change once, in order"
        );
    }
}
