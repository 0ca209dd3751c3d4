use std::collections::BTreeMap;

use dionysus_embedded::testing::Database;
use dionysus_postgres::guards::{self, Candidate, Entry, Remembered};
use dionysus_postgres::replicas::{self, Rows, Table};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sqlx::PgConnection;

use crate::support::{database, waits_for_a_lock};

const REPLICA: &str = "public.rentals";

fn candidate(id: &str, version: i64, as_of: i64, deleted: bool) -> Candidate<'_> {
    Candidate { replica: REPLICA, id, version, as_of, deleted }
}

async fn admits(database: &Database, candidate: Candidate<'_>) -> bool {
    let mut tx = guards::begin(&database.pool).await.unwrap();
    let admitted = guards::admit(&mut tx, &[candidate]).await.unwrap();
    guards::commit(tx).await.unwrap();
    admitted == [0]
}

#[tokio::test]
async fn a_snapshot_is_admitted_unless_the_entry_is_higher() {
    let database = database().await;
    for (version, as_of, admitted) in [
        (5, 0, true),
        (5, 0, true),
        (4, 9, false),
        (5, 2, true),
        (5, 1, false),
        (5, 2, true),
        (6, 0, true),
    ] {
        let got = admits(&database, candidate("1", version, as_of, false)).await;
        assert_eq!(got, admitted, "({version}, {as_of})");
    }
}

#[tokio::test]
async fn what_was_deleted_needs_something_strictly_higher() {
    let database = database().await;
    assert!(admits(&database, candidate("1", 5, 0, true)).await, "a delete of what was never seen");
    assert!(!admits(&database, candidate("1", 4, 0, false)).await);
    assert!(!admits(&database, candidate("1", 5, 0, false)).await);
    assert!(!admits(&database, candidate("1", 5, 0, true)).await);
    assert!(
        admits(&database, candidate("1", 5, 1, false)).await,
        "a genesis message of the same version"
    );
    assert!(admits(&database, candidate("1", 5, 1, true)).await);
    assert!(admits(&database, candidate("1", 6, 0, false)).await);
}

#[tokio::test]
async fn the_admitted_ones_of_many_are_named_by_their_place() {
    let database = database().await;
    for id in ["b", "d"] {
        assert!(admits(&database, candidate(id, 9, 0, false)).await);
    }
    let candidates: Vec<_> =
        ["a", "b", "c", "d", "e"].into_iter().map(|id| candidate(id, 5, 0, false)).collect();
    let mut tx = guards::begin(&database.pool).await.unwrap();
    assert_eq!(guards::admit(&mut tx, &candidates).await.unwrap(), [0, 2, 4]);
    assert_eq!(guards::admit(&mut tx, &[]).await.unwrap(), [] as [usize; 0]);
}

#[tokio::test]
async fn a_genesis_version_of_zero_outranks_what_had_no_version() {
    let database = database().await;
    let mut tx = guards::begin(&database.pool).await.unwrap();
    assert_eq!(guards::hold(&mut tx, &[(REPLICA, "1")]).await.unwrap(), [Entry::Live]);
    guards::settle(&mut tx, &[(REPLICA, "1", Some(Remembered(Some(1_700_000_000_000_000))))])
        .await
        .unwrap();
    guards::commit(tx).await.unwrap();
    assert!(admits(&database, candidate("1", 0, 1 << 32, false)).await);
}

#[tokio::test]
async fn unversioned_entries_say_what_became_of_the_instance() {
    let database = database().await;
    assert!(admits(&database, candidate("gone", 5, 0, true)).await);
    assert!(admits(&database, candidate("lives", 5, 0, false)).await);
    let keys = [(REPLICA, "gone"), (REPLICA, "lives"), (REPLICA, "new"), (REPLICA, "old")];
    let mut tx = guards::begin(&database.pool).await.unwrap();
    assert_eq!(
        guards::hold(&mut tx, &keys).await.unwrap(),
        [Entry::DeletedByVersion, Entry::Live, Entry::Live, Entry::Live]
    );
    let changes = [
        (REPLICA, "lives", Some(Remembered(Some(7)))),
        (REPLICA, "new", Some(Remembered(None))),
        (REPLICA, "old", Some(Remembered(Some(7)))),
    ];
    guards::settle(&mut tx, &changes).await.unwrap();
    assert_eq!(
        guards::hold(&mut tx, &keys).await.unwrap(),
        [
            Entry::DeletedByVersion,
            // It keeps its version: what a later version may do is not for a time to decide.
            Entry::DeletedByVersion,
            Entry::Deleted(Remembered(None)),
            Entry::Deleted(Remembered(Some(7))),
        ]
    );
    guards::settle(&mut tx, &[(REPLICA, "old", None)]).await.unwrap();
    assert_eq!(guards::hold(&mut tx, &keys[3..]).await.unwrap(), [Entry::Live]);
    guards::commit(tx).await.unwrap();
    assert!(!admits(&database, candidate("lives", 5, 0, false)).await);
    assert!(admits(&database, candidate("lives", 6, 0, false)).await);
}

/// Judges and acts, as a consumer does.
async fn apply(conn: &mut PgConnection, table: &Table, candidate: Candidate<'_>) {
    if guards::admit(conn, &[candidate]).await.unwrap().is_empty() {
        return;
    }
    if candidate.deleted {
        replicas::delete(conn, table, 0, &[candidate.id]).await.unwrap();
    } else {
        let version = candidate.version.to_string();
        let values = vec![vec![Some(candidate.id.into())], vec![Some(version.as_str().into())]];
        replicas::upsert(conn, table, Rows { columns: vec![0, 1], values, revive: None })
            .await
            .unwrap();
    }
}

async fn rentals(database: &Database) -> Table {
    sqlx::query("create table rentals (id text primary key, version bigint)")
        .execute(&database.pool)
        .await
        .unwrap();
    replicas::describe(&database.pool, None, "rentals").await.unwrap().unwrap()
}

async fn rows(database: &Database) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select id, version from rentals").fetch_all(&database.pool).await.unwrap();
    rows.into_iter().collect()
}

/// `first` has judged and acted but not committed when `second` comes and waits.
async fn meet(first: (i64, bool), second: (i64, bool)) -> Option<i64> {
    let database = database().await;
    let table = rentals(&database).await;
    let mut tx = guards::begin(&database.pool).await.unwrap();
    apply(&mut tx, &table, candidate("1", first.0, 0, first.1)).await;
    let pool = database.pool.clone();
    let other = tokio::spawn(async move {
        let mut tx = guards::begin(&pool).await.unwrap();
        apply(&mut tx, &table, candidate("1", second.0, 0, second.1)).await;
        guards::commit(tx).await.unwrap();
    });
    waits_for_a_lock(&database).await;
    guards::commit(tx).await.unwrap();
    other.await.unwrap();
    rows(&database).await.get("1").copied()
}

#[tokio::test]
async fn a_delete_that_waits_for_an_insert_deletes_what_was_inserted() {
    assert_eq!(meet((1, false), (2, true)).await, None);
}

#[tokio::test]
async fn an_older_upsert_that_waits_for_a_delete_does_not_bring_the_row_back() {
    assert_eq!(meet((2, true), (1, false)).await, None);
}

#[tokio::test]
async fn a_newer_upsert_that_waits_for_a_delete_begins_a_second_life() {
    assert_eq!(meet((2, true), (3, false)).await, Some(3));
}

#[tokio::test]
async fn an_older_delete_that_waits_for_an_upsert_is_refused() {
    assert_eq!(meet((2, false), (1, true)).await, Some(2));
}

#[tokio::test]
async fn writers_in_any_order_end_with_the_highest_version() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let database = database().await;
    let table = rentals(&database).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let ids = ["1", "2", "3"];
    // Each version once: what it does to its instance is part of it.
    let mut last: BTreeMap<&str, (i64, bool)> = BTreeMap::new();
    let mut work: Vec<Vec<(&str, i64, bool)>> = vec![Vec::new(); 6];
    for version in 1..=240 {
        let (id, deleted) = (*ids.choose(&mut rng).unwrap(), rng.random_bool(0.4));
        last.insert(id, (version, deleted));
        let writer = rng.random_range(0..work.len());
        let place = rng.random_range(0..=work[writer].len());
        work[writer].insert(place, (id, version, deleted));
    }
    let writers: Vec<_> = work
        .into_iter()
        .map(|work| {
            let (pool, table) = (database.pool.clone(), table.clone());
            tokio::spawn(async move {
                for (id, version, deleted) in work {
                    let mut tx = guards::begin(&pool).await.unwrap();
                    apply(&mut tx, &table, candidate(id, version, 0, deleted)).await;
                    guards::commit(tx).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let expected: BTreeMap<String, i64> = last
        .into_iter()
        .filter(|(_, (_, deleted))| !deleted)
        .map(|(id, (version, _))| (id.to_owned(), version))
        .collect();
    assert_eq!(rows(&database).await, expected);
}
