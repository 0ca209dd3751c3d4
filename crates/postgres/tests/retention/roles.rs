//! Roles that own nothing.

use dionysus_postgres::retention::{self, Hold, How};
use dionysus_postgres::rights;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

use super::scene::{KEEP, Scene, counted};

/// A pool of a new role with the rights of a relay, and those on the outbox.
async fn relay_role(scene: &Scene, on_outbox: &str) -> (PgPool, String) {
    let role = format!("relay_{}", Uuid::new_v4().simple());
    let sql = format!(
        "create role {role} login password 'x';
         grant usage on schema dionysus to {role};
         grant {on_outbox} on dionysus.outbox to {role};
         grant select on dionysus.topics, dionysus.migrations, dionysus.outbox_seq to {role};
         grant select, insert, update, delete on dionysus.relays, dionysus.lanes, dionysus.incarnation,
             dionysus.system, dionysus.floors to {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&scene.pool).await.unwrap();
    let options: PgConnectOptions = scene.database.url.parse().unwrap();
    let options = options.username(&role).password("x");
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    (pool, role)
}

async fn forget(scene: &Scene, pool: PgPool, role: &str) {
    pool.close().await;
    let sql = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&scene.pool).await.unwrap();
}

#[tokio::test]
async fn a_role_that_owns_nothing_deletes_in_batches() {
    let scene = Scene::new(&["v3_a"]).await;
    let leaf = scene.leaf(5).await;
    for _ in 0..3 {
        scene.insert("v3_a", &leaf).await;
    }
    scene.insert_at("v3_a", 4).await;
    scene.insert_at("v3_a", 1).await;
    let (pool, role) = relay_role(&scene, "select, delete").await;
    assert_eq!(rights::of_relay(&pool).await.unwrap(), []);
    assert!(!rights::on_partitions(&pool).await.unwrap().owns);

    let held = retention::round(&pool, KEEP).await.unwrap();
    assert_eq!(held.standing.held_by, Some(Hold::Lane { topic: "v3_a".into() }));
    scene.pass("v3_a").await;
    let done = super::round(&pool).await;
    assert_eq!(done.retired.len(), 1);
    assert_eq!((done.retired[0].how, done.retired[0].rows), (How::Deleted, 4));
    assert_eq!(counted(&scene.pool, "dionysus.outbox").await, 1);
    forget(&scene, pool, &role).await;
}

#[tokio::test]
async fn without_the_right_to_delete_it_says_so() {
    let scene = Scene::new(&["v3_a"]).await;
    let leaf = scene.leaf(5).await;
    scene.insert("v3_a", &leaf).await;
    scene.pass("v3_a").await;
    let (pool, role) = relay_role(&scene, "select").await;
    let held = retention::round(&pool, KEEP).await.unwrap();
    assert_eq!((held.retired, held.standing.held_by), (vec![], Some(Hold::Rights)));
    sqlx::raw_sql(AssertSqlSafe(format!("revoke insert on dionysus.floors from {role}")))
        .execute(&scene.pool)
        .await
        .unwrap();
    let missing = rights::of_relay(&pool).await.unwrap();
    assert_eq!((missing[0].object.as_str(), &*missing[0].right), ("dionysus.floors", "INSERT"));
    forget(&scene, pool, &role).await;
}
