use std::time::Duration;

use dionysus_postgres::Error as PostgresError;
use dionysus_producer::Error;
use sqlx::postgres::PgPoolOptions;

use super::*;
use crate::fixture::{LIMIT, execute};

const WRITERS: i64 = 16;
const ROUNDS: i64 = 20;

/// W2: 16 writers, each with a part of its own, change one aggregate at once. Whatever the last message is, it holds what all have committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_message_of_an_aggregate_holds_every_committed_part() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1); insert into lines select n, 1, '0' from generate_series(1, 16) n").await;
    let pool = PgPoolOptions::new()
        .max_connections(u32::try_from(WRITERS).unwrap())
        .connect(&database.url)
        .await
        .unwrap();
    let outbox = Outbox::connect(pool, outbox.topology().clone()).await.unwrap();
    let writers = (1..=WRITERS).map(|id| {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            for round in 1..=ROUNDS {
                let mut tx = outbox.begin().await.unwrap();
                let line: Line =
                    sqlx::query_as("update lines set text = $2 where id = $1 returning *")
                        .bind(id)
                        .bind(round.to_string())
                        .fetch_one(&mut *tx)
                        .await
                        .unwrap();
                tx.updated(&line).unwrap();
                tx.commit().await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let published = published(&database).await;
    let rounds = |message: &str| -> Vec<i64> {
        let (_, lines) = message.split_once('[').unwrap();
        lines.trim_end_matches(']').split(' ').map(|text| text.parse().unwrap()).collect()
    };
    assert_eq!(i64::try_from(published.len()).unwrap(), WRITERS * ROUNDS);
    let mut last = vec![0; usize::try_from(WRITERS).unwrap()];
    for message in &published {
        let now = rounds(message);
        assert!(now.iter().zip(&last).all(|(now, last)| now >= last), "{message} after {last:?}");
        assert_ne!(now, last, "each message holds a change of its own");
        last = now;
    }
    assert!(last.iter().all(|round| *round == ROUNDS), "{last:?}");
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "purses")]
struct Purse {
    id: i64,
    #[sqlx(skip)]
    #[publishable(part)]
    coins: Part<Vec<Coin>>,
    #[sqlx(skip)]
    #[publishable(part)]
    bills: Part<Vec<Bill>>,
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "coins")]
struct Coin {
    id: i64,
    #[publishable(hidden)]
    purse_id: i64,
    amount: i64,
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "bills")]
struct Bill {
    id: i64,
    #[publishable(hidden)]
    purse_id: i64,
    amount: i64,
}

/// W2: the gem reads a root and each kind of its parts by queries of different moments. Here each transaction moves money from a part of one kind to a part of the
/// other, so that a message which is not of one moment holds another sum.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parts_of_two_kinds_are_of_one_moment_in_each_message() {
    let builder = Topology::builder().namespace("v3", |ns| {
        ns.topic("purses", |t| t.publish::<Purse>().with::<Coin>().with::<Bill>())
    });
    let (database, outbox) = connect(builder).await;
    execute(
        &database.pool,
        "create table purses (id bigint primary key); insert into purses values (1);
         create table coins (id bigint primary key, purse_id bigint, amount bigint);
         create table bills (like coins including all);
         insert into coins select n, 1, 0 from generate_series(1, 8) n; insert into bills table coins",
    )
    .await;
    let mut writers = tokio::task::JoinSet::new();
    for id in 1_i64..=8 {
        let outbox = outbox.clone();
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                let mut tx = outbox.begin().await.unwrap();
                let taken = "update coins set amount = amount - 1 where id = $1 returning *";
                let taken: Coin = sqlx::query_as(taken).bind(id).fetch_one(&mut *tx).await.unwrap();
                let given = "update bills set amount = amount + 1 where id = $1 returning *";
                let given: Bill = sqlx::query_as(given).bind(id).fetch_one(&mut *tx).await.unwrap();
                tx.updated(&taken).unwrap();
                tx.updated(&given).unwrap();
                tx.commit().await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let rows = crate::fixture::rows(&database.pool).await;
    assert_eq!(i64::try_from(rows.len()).unwrap(), 8 * ROUNDS);
    for row in rows {
        let value: Value = serde_json::from_str(&row.payload).unwrap();
        let sum = |kind: &str| -> i64 {
            let parts = value["message"][0]["data"][0][kind].as_array().unwrap();
            assert_eq!(parts.len(), 8);
            parts.iter().map(|part| part["amount"].as_i64().unwrap()).sum()
        };
        assert_eq!(sum("coins") + sum("bills"), 0, "{}", row.payload);
    }
}

/// A root and its dependants are locked from the read to the commit: a second transaction waits there.
#[tokio::test]
async fn a_root_is_locked_until_the_transaction_ends() {
    let (database, outbox) = outbox().await;
    execute(&database.pool, "insert into orders (id) values (1)").await;
    let mut own = database.pool.begin().await.unwrap();
    let mut tx = outbox.begin_on(&mut own).await.unwrap();
    let part = line(&mut tx, "insert into lines values (11, 1, 'a') returning *").await;
    tx.created(&part).unwrap();
    tx.commit().await.unwrap();
    let locked =
        sqlx::query("select from orders for no key update nowait").execute(&database.pool).await;
    assert_eq!(locked.unwrap_err().as_database_error().unwrap().code().unwrap(), "55P03");
    own.commit().await.unwrap();
    sqlx::query("select from orders for no key update nowait")
        .execute(&database.pool)
        .await
        .unwrap();
}

/// Part before root against root before part: Postgres ends one of the two, and nothing of that one is published.
#[tokio::test]
async fn a_deadlock_with_a_transaction_that_locks_the_root_first_ends_one_of_the_two() {
    let (database, outbox) = outbox().await;
    execute(
        &database.pool,
        "insert into orders (id) values (1); insert into lines values (11, 1, 'a')",
    )
    .await;
    let mut ours = outbox.begin().await.unwrap();
    let part = line(&mut ours, "update lines set text = 'ours' returning *").await;
    ours.updated(&part).unwrap();
    let mut theirs = outbox.begin().await.unwrap();
    let root = order(&mut theirs, "update orders set note = 'theirs' returning *").await;
    theirs.updated(&root).unwrap();
    let wait_for_part = async {
        let part: Result<Line, _> = sqlx::query_as("update lines set text = 'theirs' returning *")
            .fetch_one(&mut *theirs)
            .await;
        match part {
            Ok(part) => {
                theirs.updated(&part).unwrap();
                theirs.commit().await
            }
            Err(source) => {
                theirs.rollback().await.unwrap();
                Err(Error::Postgres(PostgresError::Statement { statement: "update", source }))
            }
        }
    };
    let both = async { tokio::join!(ours.commit(), wait_for_part) };
    let (ours, theirs) = tokio::time::timeout(LIMIT + Duration::from_secs(5), both).await.unwrap();
    assert_eq!(usize::from(ours.is_err()) + usize::from(theirs.is_err()), 1, "{ours:?} {theirs:?}");
    let Err(Error::Postgres(error)) = ours.and(theirs) else { panic!("a deadlock") };
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(published(&database).await.len(), 1);
}
