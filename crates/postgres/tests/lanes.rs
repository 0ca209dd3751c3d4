use std::time::Duration;

use dionysus_core::{Cursor, Snapshot};
use dionysus_embedded::testing::Database;
use dionysus_postgres::lanes::{self, Checkpoint};
use dionysus_postgres::{incarnation, relays};
use uuid::Uuid;

use crate::support::{database, register, waits_for_a_lock};

const TTL: Duration = Duration::from_secs(30);

async fn join(database: &Database, ttl: Duration) -> Uuid {
    let id = Uuid::new_v4();
    relays::join(&database.pool, id, "test", ttl).await.unwrap();
    id
}

/// Ends a lease by the database's clock.
async fn expire(database: &Database, id: Uuid) {
    sqlx::query(
        "update dionysus.relays set expires_at = clock_timestamp() - interval '1 ms' where id = $1",
    )
    .bind(id)
    .execute(&database.pool)
    .await
    .unwrap();
}

fn place(topic: &str, epoch: i64, cursor: &Cursor) -> Vec<(String, i64, Cursor)> {
    vec![(topic.to_owned(), epoch, cursor.clone())]
}

async fn store(
    database: &Database,
    relay: Uuid,
    token: Uuid,
    places: &[(String, i64, Cursor)],
    release: bool,
) -> Vec<String> {
    let places: Vec<_> = places
        .iter()
        .map(|(topic, epoch, cursor)| Checkpoint { topic, epoch: *epoch, cursor })
        .collect();
    if release {
        lanes::release(&database.pool, relay, token, &places, &[]).await.unwrap()
    } else {
        lanes::checkpoint(&database.pool, relay, token, &places, &[]).await.unwrap()
    }
}

#[tokio::test]
async fn a_lane_has_one_owner_and_each_new_owner_a_higher_epoch() {
    let database = database().await;
    register(&database, &["v3_a", "v3_b"]).await;
    let (first, second) = (join(&database, TTL).await, join(&database, TTL).await);
    let claimed = lanes::claim(&database.pool, first, 10, &[]).await.unwrap();
    assert_eq!(
        claimed.iter().map(|lane| (lane.epoch, lane.cursor.clone())).collect::<Vec<_>>(),
        [(1, Cursor::beginning()), (1, Cursor::beginning())]
    );
    assert_eq!(lanes::claim(&database.pool, second, 10, &[]).await.unwrap(), []);
    expire(&database, first).await;
    let taken = lanes::claim(&database.pool, second, 1, &[]).await.unwrap();
    assert_eq!((taken.len(), taken[0].epoch), (1, 2));
    assert_eq!(lanes::claim(&database.pool, second, 10, &[]).await.unwrap().len(), 1);
    assert!(!relays::heartbeat(&database.pool, first, TTL).await.unwrap().alive);
    assert_eq!(lanes::owned(&database.pool, first).await.unwrap(), []);
}

#[tokio::test]
async fn a_lane_that_is_excepted_stays_free_and_takes_nobodys_turn() {
    let database = database().await;
    register(&database, &["v3_a", "v3_b"]).await;
    let relay = join(&database, TTL).await;
    let claimed = lanes::claim(&database.pool, relay, 1, &["v3_a".to_owned()]).await.unwrap();
    assert_eq!(claimed.iter().map(|lane| lane.topic.as_str()).collect::<Vec<_>>(), ["v3_b"]);
    assert_eq!(lanes::claim(&database.pool, relay, 1, &["v3_a".to_owned()]).await.unwrap(), []);
    assert_eq!(lanes::claim(&database.pool, relay, 1, &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn many_relays_that_claim_at_once_share_without_overlap() {
    let database = database().await;
    let names: Vec<String> = (0..20).map(|i| format!("v3_t{i:02}")).collect();
    register(&database, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut relays = Vec::new();
    for _ in 0..4 {
        relays.push(join(&database, TTL).await);
    }
    let claims = relays.iter().map(|id| {
        let pool = database.pool.clone();
        let id = *id;
        tokio::spawn(async move { lanes::claim(&pool, id, 20, &[]).await.unwrap() })
    });
    let mut all = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        all.extend(claim.await.unwrap().into_iter().map(|lane| lane.topic));
    }
    // A relay skips rows that another one is just taking; nobody gets what another has.
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "a lane was claimed twice");
    let mut rest = lanes::claim(&database.pool, relays[0], 20, &[]).await.unwrap().len();
    rest += count;
    assert_eq!(rest, 20);
}

#[tokio::test]
async fn a_claim_waits_for_a_heartbeat_under_way() {
    let database = database().await;
    register(&database, &["v3_a"]).await;
    let (first, second) = (join(&database, TTL).await, join(&database, TTL).await);
    lanes::claim(&database.pool, first, 1, &[]).await.unwrap();
    expire(&database, first).await;
    // A heartbeat that was in time, and is not committed yet.
    let mut beat = database.pool.begin().await.unwrap();
    sqlx::query("update dionysus.relays set expires_at = clock_timestamp() + interval '1 min' where id = $1")
        .bind(first)
        .execute(&mut *beat)
        .await
        .unwrap();
    let pool = database.pool.clone();
    let claim = tokio::spawn(async move { lanes::claim(&pool, second, 1, &[]).await.unwrap() });
    waits_for_a_lock(&database).await;
    beat.commit().await.unwrap();
    assert_eq!(claim.await.unwrap(), [], "the lease was extended");
    assert_eq!(lanes::owned(&database.pool, first).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_the_owner_of_the_epoch_stores_a_place() {
    let database = database().await;
    register(&database, &["v3_a"]).await;
    let token = incarnation::token(&database.pool).await.unwrap();
    let (first, second) = (join(&database, TTL).await, join(&database, TTL).await);
    lanes::claim(&database.pool, first, 1, &[]).await.unwrap();
    let snapshot: Snapshot = "5:9:6,7".parse().unwrap();
    let inside = Cursor::Inside { from: snapshot.clone(), to: "11:11:".parse().unwrap(), seq: 42 };
    assert_eq!(store(&database, first, token, &place("v3_a", 1, &inside), false).await, ["v3_a"]);
    assert_eq!(lanes::owned(&database.pool, first).await.unwrap()[0].cursor, inside);
    let at = Cursor::At(snapshot);
    assert_eq!(
        store(&database, first, token, &place("v3_a", 2, &at), false).await,
        [""; 0],
        "another epoch"
    );
    assert_eq!(
        store(&database, second, token, &place("v3_a", 1, &at), false).await,
        [""; 0],
        "another relay"
    );
    assert_eq!(
        store(&database, first, Uuid::new_v4(), &place("v3_a", 1, &at), false).await,
        [""; 0],
        "before a crash"
    );
    assert_eq!(
        store(&database, first, token, &place("v3_a", 1, &at), true).await,
        ["v3_a"],
        "released"
    );
    let claimed = lanes::claim(&database.pool, second, 1, &[]).await.unwrap();
    assert_eq!((claimed[0].epoch, &claimed[0].cursor), (2, &at));
}

#[tokio::test]
async fn a_heartbeat_tells_what_can_be_claimed_and_when_the_next_lease_ends() {
    let database = database().await;
    register(&database, &["v3_a", "v3_b", "v3_c"]).await;
    let first = join(&database, TTL).await;
    let second = join(&database, Duration::from_secs(5)).await;
    lanes::claim(&database.pool, second, 2, &[]).await.unwrap();
    let beat = relays::heartbeat(&database.pool, first, TTL).await.unwrap();
    assert!(beat.alive);
    assert_eq!((beat.relays, beat.lanes, beat.claimable), (2, 3, 1));
    assert!((1..=5_000).contains(&beat.next_expiry_ms.unwrap()), "{beat:?}");
    expire(&database, second).await;
    let beat = relays::heartbeat(&database.pool, first, TTL).await.unwrap();
    assert_eq!((beat.relays, beat.claimable, beat.next_expiry_ms), (1, 3, None));
    relays::leave(&database.pool, first).await.unwrap();
    assert!(!relays::heartbeat(&database.pool, first, TTL).await.unwrap().alive);
}

#[tokio::test]
async fn people_see_lanes_with_what_waits_in_them() {
    let database = database().await;
    register(&database, &["v3_a", "v3_b"]).await;
    crate::support::append(&mut database.pool.acquire().await.unwrap(), "v3_a", "Rental:1").await;
    let relay = join(&database, TTL).await;
    lanes::claim(&database.pool, relay, 1, &[]).await.unwrap();
    let all = lanes::all(&database.pool).await.unwrap();
    assert_eq!(
        all.iter()
            .map(|lane| (lane.topic.as_str(), lane.owner.as_deref(), lane.pending))
            .collect::<Vec<_>>(),
        [("v3_a", Some("test"), 1), ("v3_b", None, 0)]
    );
    assert_eq!(relays::all(&database.pool).await.unwrap()[0].lanes, 1);
}
