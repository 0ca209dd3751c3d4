//! What the owner of a lane does with rows that are set aside, and what people see and ask for.

mod people;
mod requests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use dionysus_core::Cursor;
use dionysus_embedded::testing::Database;
use dionysus_postgres::lanes::{self, Checkpoint};
use dionysus_postgres::outbox::{self, NewRow};
use dionysus_postgres::quarantine::{self, Entry, Held};
use dionysus_postgres::{incarnation, relays};
use serde_json::json;
use uuid::Uuid;

use crate::support::{append_all, database, register};

const TTL: Duration = Duration::from_secs(30);
const LATER: Duration = Duration::from_hours(1);
const EPOCH: i64 = 1;

/// A relay that owns the lanes `v3_a` and `v3_b`.
struct Scene {
    database: Database,
    relay: Uuid,
    token: Uuid,
}

impl Scene {
    async fn new() -> Self {
        let database = database().await;
        register(&database, &["v3_a", "v3_b"]).await;
        let (relay, token) = (Uuid::new_v4(), incarnation::token(&database.pool).await.unwrap());
        relays::join(&database.pool, relay, "test", TTL).await.unwrap();
        assert_eq!(lanes::claim(&database.pool, relay, 2, &[]).await.unwrap().len(), 2);
        Self { database, relay, token }
    }

    /// Number and time of each row of the outbox, in order.
    async fn outbox(&self) -> Vec<(i64, DateTime<Utc>)> {
        sqlx::query_as("select seq, created_at from dionysus.outbox order by seq")
            .fetch_all(&self.database.pool)
            .await
            .unwrap()
    }

    async fn append(&self, rows: &[(&str, &str)]) -> Vec<(i64, DateTime<Utc>)> {
        let before = self.outbox().await.len();
        append_all(&mut self.database.pool.acquire().await.unwrap(), rows).await;
        self.outbox().await.split_off(before)
    }

    async fn store(&self, places: &[Checkpoint<'_>], held: &[Held<'_>]) -> Vec<String> {
        lanes::checkpoint(&self.database.pool, self.relay, self.token, places, held).await.unwrap()
    }

    /// Sets rows of a lane aside, each with its key and, if it was refused, its cause; these are tried by themselves much later.
    async fn set_aside(&self, topic: &str, rows: &[(&str, Option<&str>)]) -> Vec<i64> {
        let keys: Vec<_> = rows.iter().map(|(key, _)| (topic, *key)).collect();
        let appended = self.append(&keys).await;
        let held: Vec<_> = appended
            .iter()
            .zip(rows)
            .map(|((seq, created_at), (_, cause))| Held {
                topic,
                seq: *seq,
                created_at: *created_at,
                cause: *cause,
                retry_in: cause.map(|_| LATER),
            })
            .collect();
        let cursor = Cursor::At("9:9:".parse().unwrap());
        let places = [Checkpoint { topic, epoch: EPOCH, cursor: &cursor }];
        assert_eq!(self.store(&places, &held).await, [topic]);
        appended.iter().map(|(seq, _)| *seq).collect()
    }

    async fn rows(&self) -> Vec<Entry> {
        quarantine::list(&self.database.pool, None, true, 1_000).await.unwrap()
    }

    async fn seqs(&self) -> Vec<i64> {
        self.rows().await.iter().map(|row| row.seq).collect()
    }

    async fn due(&self, limit: i64) -> Vec<i64> {
        let due = quarantine::due(&self.database.pool, self.relay, limit).await.unwrap();
        due.iter().map(|row| row.seq).collect()
    }

    async fn give_up(&self) -> u64 {
        quarantine::give_up(&self.database.pool, self.relay).await.unwrap()
    }

    async fn run(&self, sql: &'static str, seq: i64) {
        sqlx::query(sql).bind(seq).execute(&self.database.pool).await.unwrap();
    }

    async fn ask(&self, seq: i64, request: quarantine::Request) {
        let target = quarantine::Target::Row(seq);
        let pool = &self.database.pool;
        let asked = quarantine::request(pool, "v3_a", target, request).await.unwrap();
        assert_eq!(asked, [seq]);
    }
}

#[tokio::test]
async fn a_checkpoint_stores_the_place_and_sets_rows_aside_or_does_neither() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    let rows = scene.append(&[("v3_a", "Rental:1"), ("v3_b", "Rental:2")]).await;
    let held = |index: usize, topic| {
        let (seq, created_at) = rows[index];
        Held { topic, seq, created_at, cause: Some("too large"), retry_in: Some(LATER) }
    };
    let held = [held(0, "v3_a"), held(1, "v3_b")];
    let cursor = Cursor::At("7:7:".parse().unwrap());
    let place = |topic, epoch| Checkpoint { topic, epoch, cursor: &cursor };
    let (stranger, crash) = (Uuid::new_v4(), Uuid::new_v4());
    relays::join(pool, stranger, "stranger", TTL).await.unwrap();

    for (why, relay, token, epoch) in [
        ("another epoch", scene.relay, scene.token, 2),
        ("another relay", stranger, scene.token, EPOCH),
        ("before a crash", scene.relay, crash, EPOCH),
    ] {
        let places = [place("v3_a", epoch), place("v3_b", epoch)];
        let stored = lanes::checkpoint(pool, relay, token, &places, &held).await.unwrap();
        assert_eq!(stored, [""; 0], "{why}");
        let released = lanes::release(pool, relay, token, &places, &held).await.unwrap();
        assert_eq!(released, [""; 0], "{why}");
        assert_eq!(scene.rows().await, [], "{why}");
        let owned = lanes::owned(pool, scene.relay).await.unwrap();
        assert!(owned.iter().all(|lane| lane.cursor == Cursor::beginning()), "{why}: {owned:?}");
    }

    // Of several lanes each goes by itself.
    let stored = scene.store(&[place("v3_a", EPOCH), place("v3_b", 2)], &held).await;
    assert_eq!(stored, ["v3_a"]);
    assert_eq!(scene.seqs().await, [rows[0].0]);
    let places = [place("v3_b", EPOCH)];
    let released = lanes::release(pool, scene.relay, scene.token, &places, &held).await.unwrap();
    assert_eq!(released, ["v3_b"]);
    assert_eq!(scene.seqs().await, [rows[0].0, rows[1].0]);
    let keys = quarantine::keys(pool, &["v3_a".into(), "v3_c".into()]).await.unwrap();
    assert_eq!(serde_json::to_value(keys).unwrap(), json!({ "v3_a": { "Rental:1": 1 } }));
}

#[tokio::test]
async fn a_row_is_copied_whole() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    let row = |key, payload, headers| NewRow {
        event_id: Uuid::now_v7(),
        topic: "v3_a",
        key,
        partition_key: Some("7"),
        event: "rental_updated",
        model: "Rental",
        model_id: "1",
        payload,
        headers,
    };
    let headers = json!({ "traceparent": "00-1-2-01" });
    let rows =
        [row("Rental:1", Some(&b"{\"a\":1}"[..]), Some(&headers)), row("Rental:2", None, None)];
    outbox::append(&mut pool.acquire().await.unwrap(), &rows).await.unwrap();
    sqlx::query(
        "insert into dionysus.outbox (event_id, topic, key, event, model, model_id, capture)
         values (gen_random_uuid(), 'v3_a', 'Rental:3', 'rental_created', 'Rental', '3', '{\"id\": \"3\"}')",
    )
    .execute(pool)
    .await
    .unwrap();
    let rows = scene.outbox().await;
    let held = rows.iter().map(|(seq, created_at)| Held {
        topic: "v3_a",
        seq: *seq,
        created_at: *created_at,
        cause: None,
        retry_in: None,
    });
    let cursor = Cursor::beginning();
    let places = [Checkpoint { topic: "v3_a", epoch: EPOCH, cursor: &cursor }];
    scene.store(&places, &held.collect::<Vec<_>>()).await;

    let alike: i64 = sqlx::query_scalar(
        "select count(*) from dionysus.outbox o join dionysus.quarantine q using (topic, seq)
         where (o.key, o.created_at, o.event_id, o.partition_key, o.event, o.model, o.model_id, o.payload, o.headers, o.capture)
               is not distinct from
               (q.key, q.created_at, q.event_id, q.partition_key, q.event, q.model, q.model_id, q.payload, q.headers, q.capture)",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(alike, 3);
    let due = quarantine::due(pool, scene.relay, 10).await.unwrap();
    let contents: Vec<_> = due
        .iter()
        .map(|row| (row.payload.as_deref(), row.headers.as_ref(), row.capture.as_deref()))
        .collect();
    assert_eq!(
        contents,
        [
            (Some(&b"{\"a\":1}"[..]), Some(&headers), None),
            (None, None, None),
            (None, None, Some("{\"id\": \"3\"}"))
        ]
    );
    assert_eq!(due[0].created_at, rows[0].1);
    assert_eq!(due[0].partition_key.as_deref(), Some("7"));
}

#[tokio::test]
async fn a_row_that_is_there_already_stays_as_it_is() {
    let scene = Scene::new().await;
    let seq = scene.set_aside("v3_a", &[("Rental:1", Some("too large"))]).await[0];
    scene
        .run("update dionysus.quarantine set attempts = 3, request = 'skip' where seq = $1", seq)
        .await;
    let before = scene.rows().await;
    let (_, created_at) = scene.outbox().await[0];
    let again = Held { topic: "v3_a", seq, created_at, cause: None, retry_in: None };
    let cursor = Cursor::At("20:20:".parse().unwrap());
    let places = [Checkpoint { topic: "v3_a", epoch: EPOCH, cursor: &cursor }];
    assert_eq!(scene.store(&places, &[again]).await, ["v3_a"]);
    assert_eq!(scene.rows().await, before);
}

#[tokio::test]
async fn a_key_is_due_with_its_first_rows_and_not_before_its_turn() {
    let scene = Scene::new().await;
    let large = Some("too large");
    let held = scene
        .set_aside(
            "v3_a",
            &[
                ("Rental:1", large),
                ("Rental:2", large),
                ("Rental:1", None),
                ("Rental:2", large),
                ("Rental:2", None),
            ],
        )
        .await;
    assert_eq!(scene.due(10).await, [0; 0], "their time has not come");

    // A row behind a refused one is not its key's first: nobody can ask for it alone.
    scene.ask(held[3], quarantine::Request::Retry).await;
    assert_eq!(scene.due(10).await, [0; 0]);
    scene.ask(held[1], quarantine::Request::Retry).await;
    assert_eq!(scene.due(10).await, [held[1], held[3], held[4]]);
    assert_eq!(scene.due(2).await, [held[1], held[3]], "cut at the end, never in the middle");

    scene
        .run("update dionysus.quarantine set retry_at = clock_timestamp() where seq = $1", held[0])
        .await;
    assert_eq!(scene.due(10).await, held);
    // What only waited is due as soon as it is the first.
    scene.run("delete from dionysus.quarantine where seq = $1", held[0]).await;
    scene.run("update dionysus.quarantine set request = null where seq >= $1", held[1]).await;
    assert_eq!(scene.due(10).await, [held[2]]);

    let stranger = Uuid::new_v4();
    assert!(quarantine::due(&scene.database.pool, stranger, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_skipped_row_goes_alone_and_a_dropped_one_with_those_behind() {
    let scene = Scene::new().await;
    let rows = [
        ("Rental:1", Some("no")),
        ("Rental:2", Some("no")),
        ("Rental:1", None),
        ("Rental:1", None),
    ];
    let held = scene.set_aside("v3_a", &rows).await;
    assert_eq!(scene.give_up().await, 0, "nobody asks");
    scene.ask(held[0], quarantine::Request::Skip).await;
    let stranger = Uuid::new_v4();
    assert_eq!(quarantine::give_up(&scene.database.pool, stranger).await.unwrap(), 0);
    assert_eq!(scene.give_up().await, 1);
    assert_eq!(scene.seqs().await, held[1..]);
    scene.ask(held[2], quarantine::Request::Drop).await;
    assert_eq!(scene.give_up().await, 2);
    assert_eq!(scene.seqs().await, [held[1]]);
}

#[tokio::test]
async fn only_the_owner_of_the_epoch_removes_what_was_published() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    let held = scene.set_aside("v3_a", &[("Rental:1", Some("no")), ("Rental:1", None)]).await;
    let released = async |relay, epoch, topic| {
        quarantine::released(pool, relay, epoch, topic, &held[..1]).await.unwrap()
    };
    assert_eq!(released(scene.relay, 2, "v3_a").await, 0, "another epoch");
    assert_eq!(released(Uuid::new_v4(), EPOCH, "v3_a").await, 0, "another relay");
    assert_eq!(released(scene.relay, EPOCH, "v3_b").await, 0, "another lane");
    assert_eq!(released(scene.relay, EPOCH, "v3_a").await, 1);
    assert_eq!(scene.seqs().await, held[1..]);
}

#[tokio::test]
async fn a_row_that_is_refused_again_counts_its_tries_and_waits_anew() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    let held = scene.set_aside("v3_a", &[("Rental:1", Some("no")), ("Rental:1", None)]).await;
    let refuse = async |relay, seq| {
        quarantine::refused_again(pool, relay, "v3_a", seq, "still no", LATER).await.unwrap();
    };
    scene.ask(held[0], quarantine::Request::Retry).await;
    refuse(Uuid::new_v4(), held[0]).await;
    assert_eq!(scene.due(10).await, held, "a stranger's word does not count");
    refuse(scene.relay, held[0]).await;
    let row = scene.rows().await.swap_remove(0);
    assert_eq!((row.attempts, row.cause.as_deref(), &row.request), (1, Some("still no"), &None));
    let wait = (row.retry_at.unwrap() - Utc::now()).to_std().unwrap();
    assert!(wait > LATER / 2 && wait <= LATER, "{wait:?}");
    assert_eq!(scene.due(10).await, [0; 0]);

    // What was asked for meanwhile stays asked for.
    scene.ask(held[0], quarantine::Request::Skip).await;
    refuse(scene.relay, held[0]).await;
    let row = scene.rows().await.swap_remove(0);
    assert_eq!((row.attempts, row.request.as_deref()), (2, Some("skip")));
}
