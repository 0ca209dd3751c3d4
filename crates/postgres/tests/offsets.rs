use dionysus_postgres::guards;
use dionysus_postgres::offsets::{self, BEGINNING, Position, Step};

use crate::support::{database, waits_for_a_lock};

fn step(from: i64, to: i64) -> Step<'static> {
    Step { group: "g", topic: "v3_rentals", partition: 3, from, to }
}

fn position(topic: &str, partition: i32, next_offset: i64) -> Position {
    Position { topic: topic.into(), partition, next_offset }
}

#[tokio::test]
async fn a_partition_begins_at_the_beginning_and_goes_on_where_it_was_left() {
    let database = database().await;
    let places = [("v3_rentals", 3), ("v3_fees", 0)];
    let mut found = offsets::load(&database.pool, "g", &places).await.unwrap();
    found.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert_eq!(found, [position("v3_fees", 0, BEGINNING), position("v3_rentals", 3, BEGINNING)]);

    let mut tx = guards::begin(&database.pool).await.unwrap();
    assert!(offsets::advance(&mut tx, &step(BEGINNING, 7)).await.unwrap());
    guards::commit(tx).await.unwrap();

    let found = offsets::load(&database.pool, "g", &[("v3_rentals", 3)]).await.unwrap();
    assert_eq!(found, [position("v3_rentals", 3, 7)]);
    let other = offsets::load(&database.pool, "other", &[("v3_rentals", 3)]).await.unwrap();
    assert_eq!(other, [position("v3_rentals", 3, BEGINNING)]);
}

#[tokio::test]
async fn a_step_from_another_place_is_not_taken() {
    let database = database().await;
    offsets::load(&database.pool, "g", &[("v3_rentals", 3)]).await.unwrap();
    let mut tx = guards::begin(&database.pool).await.unwrap();
    assert!(!offsets::advance(&mut tx, &step(5, 7)).await.unwrap());
    assert!(offsets::advance(&mut tx, &step(BEGINNING, 5)).await.unwrap());
    assert!(!offsets::advance(&mut tx, &step(BEGINNING, 5)).await.unwrap());
}

#[tokio::test]
async fn of_two_owners_that_take_the_same_step_one_is_fenced() {
    let database = database().await;
    offsets::load(&database.pool, "g", &[("v3_rentals", 3)]).await.unwrap();
    let mut owner = guards::begin(&database.pool).await.unwrap();
    assert!(offsets::advance(&mut owner, &step(BEGINNING, 5)).await.unwrap());

    let pool = database.pool.clone();
    let zombie = tokio::spawn(async move {
        let mut tx = guards::begin(&pool).await.unwrap();
        offsets::advance(&mut tx, &step(BEGINNING, 4)).await.unwrap()
    });
    waits_for_a_lock(&database).await;
    guards::commit(owner).await.unwrap();
    assert!(!zombie.await.unwrap());
}

#[tokio::test]
async fn a_step_of_a_transaction_that_is_rolled_back_was_not_taken() {
    let database = database().await;
    offsets::load(&database.pool, "g", &[("v3_rentals", 3)]).await.unwrap();
    let mut tx = guards::begin(&database.pool).await.unwrap();
    assert!(offsets::advance(&mut tx, &step(BEGINNING, 5)).await.unwrap());
    drop(tx);
    let found = offsets::load(&database.pool, "g", &[("v3_rentals", 3)]).await.unwrap();
    assert_eq!(found, [position("v3_rentals", 3, BEGINNING)]);
}
