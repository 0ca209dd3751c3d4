//! Batches against a real Postgres.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dionysus_core::{ColumnMapping, Removal, ReplicaMapping};
use dionysus_embedded::testing::{self, Database};
use dionysus_kafka::Record;
use dionysus_postgres::schema;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::*;
use crate::batch::fill;
use crate::change::testing::event;
use crate::check::routes;

const TABLES: &str = "
    create table bookings (id bigserial primary key, synced_id bigint unique, synced_data jsonb, synced_updated_at timestamp,
        synced_canceled_at timestamp, synced_account_id bigint, synced_bookings_fee_ids bigint[], name text);
    create table fees (synced_id bigint primary key, synced_booking_id bigint, name text);
    create table rooms (synced_id bigint primary key, synced_updated_at timestamptz, canceled boolean, name text)";

fn mapping(model: &str, table: &str, columns: &[&str]) -> ReplicaMapping {
    let columns = columns
        .iter()
        .map(|name| ColumnMapping { attribute: (*name).into(), column: (*name).into() });
    ReplicaMapping { columns: columns.collect(), ..ReplicaMapping::new(model, table) }
}

/// Booking: soft-deletable, with fees inside. Fee: neither times nor anything else. Room: a flag.
fn mappings() -> Vec<ReplicaMapping> {
    let booking = ReplicaMapping {
        updated_at: Some("synced_updated_at".into()),
        canceled_at: Some("synced_canceled_at".into()),
        synced_data: Some("synced_data".into()),
        ..mapping("Booking", "bookings", &["name", "synced_account_id", "synced_bookings_fee_ids"])
    };
    let fee = ReplicaMapping {
        sideloaded_as: vec!["bookings_fees".into()],
        ..mapping("BookingsFee", "fees", &["name", "synced_booking_id"])
    };
    let room = ReplicaMapping {
        updated_at: Some("synced_updated_at".into()),
        removal: Removal::Flag("canceled".into()),
        ..mapping("Room", "public.rooms", &["name"])
    };
    vec![room, booking, fee]
}

/// A partition of a topic, and its reader.
struct Partition {
    pool: PgPool,
    route: Route,
    topic: &'static str,
    position: i64,
    next_offset: i64,
}

impl Partition {
    async fn new(database: &Database, topic: &'static str) -> Self {
        let topics = [(topic.to_owned(), mappings())];
        let route = routes(&database.pool, &topics).await.unwrap().remove(topic).unwrap();
        offsets::load(&database.pool, "g", &[(topic, 0)]).await.unwrap();
        Self {
            pool: database.pool.clone(),
            route,
            topic,
            position: offsets::BEGINNING,
            next_offset: 0,
        }
    }

    /// The next message of the partition.
    fn message(&mut self, payload: &str, order: Option<(i64, i64)>) -> Record {
        let header = |name: &str, value: i64| (name.to_owned(), value.to_string().into_bytes());
        let headers = order
            .map(|(v, a)| vec![header("dionysus-version", v), header("dionysus-as-of", a)])
            .unwrap_or_default();
        self.next_offset += 1;
        let payload = Some(payload.as_bytes().to_vec());
        Record { offset: self.next_offset - 1, timestamp_ms: None, key: None, payload, headers }
    }

    /// All of these, in as many batches as it takes.
    async fn apply(&mut self, mut records: &[Record]) -> Applied {
        let mut total = Applied::default();
        while !records.is_empty() {
            let batch = fill(&self.route, records).unwrap();
            loop {
                let step = Step {
                    group: "g",
                    topic: self.topic,
                    partition: 0,
                    from: self.position,
                    to: batch.next_offset,
                };
                match apply(&self.pool, &self.route, &step, &batch.rounds).await {
                    Ok(done) => {
                        total.applied += done.applied;
                        total.stale += done.stale;
                        break;
                    }
                    Err(Failure::Database(error)) if error.is_transient() => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            self.position = batch.next_offset;
            records = &records[batch.records..];
        }
        total
    }

    async fn one(&mut self, payload: &str, order: Option<(i64, i64)>) -> Applied {
        let record = self.message(payload, order);
        self.apply(&[record]).await
    }
}

async fn database() -> Database {
    let database = testing::database().await;
    schema::migrate(&database.pool).await.unwrap();
    sqlx::raw_sql(TABLES).execute(&database.pool).await.unwrap();
    database
}

/// The rows of a query, as one JSON array.
async fn rows(database: &Database, query: &'static str) -> Value {
    let sql = format!("select coalesce(jsonb_agg(to_jsonb(q)), '[]') from ({query}) q");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&database.pool).await.unwrap()
}

async fn names(database: &Database) -> Value {
    rows(database, "select synced_id as id, name from bookings order by synced_id").await
}

const APPLIED: Applied = Applied { applied: 1, stale: 0 };
const STALE: Applied = Applied { applied: 0, stale: 1 };

#[tokio::test]
async fn an_aggregate_fills_the_replicas_of_its_root_and_its_parts() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    let data = r#"{"id":1,"name":"b1","updated_at":"2024-01-15T12:00:00.123+02:00","canceled_at":null,"price":"10.50",
        "links":{"account":7,"bookings_fees":[11,12]},
        "bookings_fees":[{"id":11,"name":"f11","links":{"booking":1}},{"id":12,"name":"f12","links":{"booking":1}}]}"#;
    let applied = topic.one(&event("booking_created", "Booking", data), Some((5, 0))).await;
    assert_eq!(applied, Applied { applied: 3, stale: 0 });
    assert_eq!(
        rows(&database, "select * from bookings").await,
        json!([{
            "id": 1, "synced_id": 1, "name": "b1", "synced_updated_at": "2024-01-15T10:00:00.123", "synced_canceled_at": null,
            "synced_account_id": 7, "synced_bookings_fee_ids": [11, 12],
            "synced_data": {
                "synced_id": 1, "name": "b1", "synced_updated_at": "2024-01-15T12:00:00.123+02:00", "synced_canceled_at": null,
                "price": "10.50", "synced_account_id": 7, "synced_bookings_fee_ids": [11, 12]
            }
        }])
    );
    let fees = json!([
        { "synced_id": 11, "synced_booking_id": 1, "name": "f11" },
        { "synced_id": 12, "synced_booking_id": 1, "name": "f12" }
    ]);
    assert_eq!(rows(&database, "select * from fees order by synced_id").await, fees);

    // The booking goes for good; its parts have events of their own.
    let gone = r#"{"id":1,"canceled_at":"2024-01-16T00:00:00.000Z","links":{"bookings_fees":[11]},"bookings_fees":[{"id":11,"name":"last"}]}"#;
    topic.one(&event("booking_destroyed", "Booking", gone), Some((6, 0))).await;
    let canceled =
        rows(&database, "select synced_canceled_at is not null as canceled, name from bookings")
            .await;
    assert_eq!(canceled, json!([{ "canceled": true, "name": "b1" }]));
    topic.one(&event("booking_destroyed", "Booking", r#"{"links":{},"id":1}"#), Some((7, 0))).await;
    assert_eq!(names(&database).await, json!([]));
    assert_eq!(
        rows(&database, "select name from fees order by synced_id").await,
        json!([{ "name": "last" }, { "name": "f12" }])
    );
}

#[tokio::test]
async fn what_was_deleted_stays_deleted() {
    let database = database().await;
    let mut live = Partition::new(&database, "v3_bookings").await;
    let mut late = Partition::new(&database, "v3_bookings_genesis").await;
    let old = event("booking_updated", "Booking", r#"{"id":1,"name":"old"}"#);
    let gone = event("booking_destroyed", "Booking", r#"{"links":{},"id":1}"#);
    assert_eq!(live.one(&gone, Some((6, 0))).await, APPLIED);
    for order in [(5, 0), (5, 9), (6, 0)] {
        assert_eq!(late.one(&old, Some(order)).await, STALE, "{order:?}");
    }
    assert_eq!(late.one(&old, None).await, STALE, "no version outranks a version");
    assert_eq!(names(&database).await, json!([]));
    let new = event("booking_created", "Booking", r#"{"id":1,"name":"a second life"}"#);
    assert_eq!(live.one(&new, Some((7, 0))).await, APPLIED);
    assert_eq!(names(&database).await, json!([{ "id": 1, "name": "a second life" }]));
}

#[tokio::test]
async fn a_redelivery_changes_nothing() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    let messages = [
        (event("booking_created", "Booking", r#"{"id":1,"name":"a"}"#), 1),
        (event("booking_updated", "Booking", r#"{"id":1,"name":"b"}"#), 2),
        (event("booking_created", "Booking", r#"{"id":2,"name":"c"}"#), 3),
        (event("booking_destroyed", "Booking", r#"{"links":{},"id":2}"#), 4),
    ];
    for _ in 0..3 {
        for (payload, version) in &messages {
            topic.one(payload, Some((*version, 0))).await;
        }
        assert_eq!(names(&database).await, json!([{ "id": 1, "name": "b" }]));
    }
}

#[tokio::test]
async fn a_zombie_changes_nothing() {
    let database = database().await;
    let mut zombie = Partition::new(&database, "v3_bookings").await;
    let mut owner = Partition::new(&database, "v3_bookings").await;
    owner
        .one(&event("booking_created", "Booking", r#"{"id":1,"name":"owner's"}"#), Some((1, 0)))
        .await;
    let record = zombie.message(
        &event("booking_updated", "Booking", r#"{"id":1,"name":"zombie's"}"#),
        Some((9, 0)),
    );
    let records = [record];
    let batch = fill(&zombie.route, &records).unwrap();
    let step =
        Step { group: "g", topic: "v3_bookings", partition: 0, from: offsets::BEGINNING, to: 1 };
    let outcome = apply(&zombie.pool, &zombie.route, &step, &batch.rounds).await;
    assert!(matches!(outcome, Err(Failure::Fenced)), "{outcome:?}");
    assert_eq!(names(&database).await, json!([{ "id": 1, "name": "owner's" }]));
    assert_eq!(
        rows(&database, "select version from dionysus.guards").await,
        json!([{ "version": 1 }])
    );
}

#[tokio::test]
async fn a_batch_that_fails_takes_no_step() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    let good =
        topic.message(&event("booking_created", "Booking", r#"{"id":1,"name":"a"}"#), Some((1, 0)));
    let bad = topic.message(
        &event("booking_created", "Booking", r#"{"id":2,"links":{"account":"x"}}"#),
        Some((2, 0)),
    );
    let records = [good, bad];
    let batch = fill(&topic.route, &records).unwrap();
    let step =
        Step { group: "g", topic: "v3_bookings", partition: 0, from: offsets::BEGINNING, to: 2 };
    let outcome = apply(&topic.pool, &topic.route, &step, &batch.rounds).await;
    assert!(matches!(outcome, Err(Failure::Database(_))), "{outcome:?}");
    assert_eq!(names(&database).await, json!([]));
    assert_eq!(
        rows(&database, "select next_offset from dionysus.consumer_offsets").await,
        json!([{ "next_offset": -2 }])
    );
    assert_eq!(rows(&database, "select * from dionysus.guards").await, json!([]));
}

#[tokio::test]
async fn soft_deletes_flags_and_restores_follow_the_gem() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    let mut version = 0;
    for (name, model, data, expected) in [
        ("booking_created", "Booking", r#"{"id":2,"name":"a"}"#, json!(["a", null])),
        (
            "booking_destroyed",
            "Booking",
            r#"{"id":2,"name":"gone","canceled_at":"2024-01-15T10:00:01Z"}"#,
            json!(["gone", "2024-01-15T10:00:01"]),
        ),
        (
            "booking_updated",
            "Booking",
            r#"{"id":2,"name":"still gone","canceled_at":"2024-01-15T10:00:01Z"}"#,
            json!(["still gone", "2024-01-15T10:00:01"]),
        ),
        (
            "booking_updated",
            "Booking",
            r#"{"id":2,"name":"back","canceled_at":null}"#,
            json!(["back", null]),
        ),
        (
            "booking_destroyed",
            "Booking",
            r#"{"id":2,"canceled_at":"2024-01-15T10:00:02Z"}"#,
            json!(["back", "2024-01-15T10:00:02"]),
        ),
        (
            "booking_updated",
            "Booking",
            r#"{"id":2,"name":"restored, no key"}"#,
            json!(["restored, no key", null]),
        ),
        (
            "booking_destroyed",
            "Booking",
            r#"{"id":2,"name":"alive","canceled_at":null}"#,
            json!(["alive", null]),
        ),
        ("room_created", "Room", r#"{"id":2,"name":"r"}"#, json!(["r", null])),
        ("room_destroyed", "Room", r#"{"links":{},"id":2}"#, json!(["r", true])),
        (
            "room_updated",
            "Room",
            r#"{"id":2,"name":"still flagged"}"#,
            json!(["still flagged", true]),
        ),
        (
            "room_created",
            "Room",
            r#"{"id":2,"name":"visible again"}"#,
            json!(["visible again", false]),
        ),
        (
            "room_destroyed",
            "Room",
            r#"{"id":2,"canceled_at":"2024-01-15T10:00:02Z"}"#,
            json!(["visible again", true]),
        ),
    ] {
        version += 1;
        topic.one(&event(name, model, data), Some((version, 0))).await;
        let found = match model {
            "Booking" => {
                rows(
                    &database,
                    "select jsonb_build_array(name, synced_canceled_at) as row from bookings",
                )
                .await
            }
            _ => {
                rows(&database, "select jsonb_build_array(name, canceled) as row from rooms").await
            }
        };
        assert_eq!(found[0]["row"], expected, "{name} {data}");
    }
    // Never seen: appears in its soft-deleted form, or not at all.
    topic.one(&event("room_destroyed", "Room", r#"{"links":{},"id":11}"#), Some((20, 0))).await;
    topic
        .one(&event("booking_destroyed", "Booking", r#"{"links":{},"id":11}"#), Some((21, 0)))
        .await;
    assert_eq!(
        rows(&database, "select canceled from rooms where synced_id = 11").await,
        json!([{ "canceled": true }])
    );
    assert_eq!(rows(&database, "select 1 from bookings where synced_id = 11").await, json!([]));
}

fn timed(event_kind: &str, name: &str, second: Option<u32>) -> String {
    let time = second
        .map_or_else(String::new, |s| format!(r#","updated_at":"2024-01-15T10:00:{s:02}.000Z""#));
    event(
        &format!("booking_{event_kind}"),
        "Booking",
        &format!(r#"{{"id":1,"name":"{name}"{time}}}"#),
    )
}

const GONE: &str = r#"{"message":[{"event":"booking_destroyed","model_name":"Booking","data":[{"links":{},"id":1}]}]}"#;

/// Each cell of the table in `dionysus_postgres::guards`: what made the entry, the message, whether it is admitted.
#[tokio::test]
async fn every_cell_of_the_guards_table_holds() {
    let v = |version| Some((version, 0));
    let upsert = |second| timed("updated", "new", second);
    for (n, (before, message, order, admitted)) in [
        (vec![], upsert(Some(5)), v(1), true),
        (vec![], upsert(Some(5)), None, true),
        // Unversioned, live.
        (vec![(timed("created", "old", Some(5)), None)], upsert(Some(1)), v(1), true),
        (vec![(timed("created", "old", Some(5)), None)], upsert(Some(5)), None, true),
        (vec![(timed("created", "old", Some(5)), None)], upsert(Some(4)), None, false),
        (vec![(timed("created", "old", Some(5)), None)], upsert(None), None, true),
        (vec![(timed("created", "old", None), None)], upsert(Some(1)), None, true),
        // Unversioned, deleted.
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(Some(1)),
            v(1),
            true,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(Some(5)),
            None,
            false,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(Some(6)),
            None,
            true,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            upsert(None),
            None,
            false,
        ),
        (
            vec![(timed("created", "old", Some(5)), None), (GONE.into(), None)],
            timed("created", "new", None),
            None,
            true,
        ),
        (vec![(GONE.into(), None)], upsert(Some(5)), None, false),
        (vec![(GONE.into(), None)], timed("created", "new", Some(5)), None, true),
        // Versioned, live.
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(9)), v(2), false),
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(1)), v(3), true),
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(5)), None, true),
        (vec![(timed("created", "old", Some(5)), v(3))], upsert(Some(4)), None, false),
        // Versioned, deleted.
        (vec![(GONE.into(), v(3))], upsert(Some(9)), v(3), false),
        (vec![(GONE.into(), v(3))], upsert(Some(9)), v(4), true),
        (vec![(GONE.into(), v(3))], timed("created", "new", Some(9)), None, false),
    ]
    .into_iter()
    .enumerate()
    {
        let database = database().await;
        let mut topic = Partition::new(&database, "v3_bookings").await;
        for (payload, order) in before {
            topic.one(&payload, order).await;
        }
        let outcome = topic.one(&message, order).await;
        assert_eq!(outcome, if admitted { APPLIED } else { STALE }, "case {n}");
        let holds = names(&database).await == json!([{ "id": 1, "name": "new" }]);
        assert_eq!(holds, admitted, "case {n}");
    }
}

#[tokio::test]
async fn an_unversioned_delete_of_a_versioned_row_keeps_its_version() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_bookings").await;
    topic.one(&timed("created", "a", Some(5)), Some((3, 0))).await;
    assert_eq!(topic.one(GONE, None).await, APPLIED);
    assert_eq!(topic.one(&timed("updated", "a", Some(5)), Some((3, 0))).await, STALE);
    assert_eq!(topic.one(&timed("updated", "b", Some(5)), Some((4, 0))).await, APPLIED);
}

#[tokio::test]
async fn models_that_share_a_table_share_its_guards() {
    let database = database().await;
    let shared = |model: &str| mapping(model, "fees", &["name"]);
    let topics = [("t".to_owned(), vec![shared("Fee"), shared("Tax")])];
    let route = routes(&database.pool, &topics).await.unwrap().remove("t").unwrap();
    let mut topic = Partition { route, ..Partition::new(&database, "t").await };
    topic.one(&event("fee_updated", "Fee", r#"{"id":1,"name":"fee"}"#), Some((5, 0))).await;
    assert_eq!(
        topic.one(&event("tax_updated", "Tax", r#"{"id":1,"name":"tax"}"#), Some((4, 0))).await,
        STALE
    );
    let both = [
        topic.message(&event("tax_updated", "Tax", r#"{"id":1,"name":"tax"}"#), Some((6, 0))),
        topic.message(&event("fee_updated", "Fee", r#"{"id":1,"name":"last"}"#), Some((7, 0))),
    ];
    topic.apply(&both).await;
    assert_eq!(rows(&database, "select name from fees").await, json!([{ "name": "last" }]));
}

/// What the messages of one partition say in the end.
#[derive(Clone, Debug)]
struct Saying {
    id: u8,
    kind: &'static str,
    fees: Vec<u8>,
}

fn sayings() -> impl Strategy<Value = Vec<Saying>> {
    let kind = prop_oneof![Just("created"), Just("updated"), Just("destroyed")];
    let one = (0..4u8, kind, proptest::collection::vec(0..4u8, 0..3));
    proptest::collection::vec(one.prop_map(|(id, kind, fees)| Saying { id, kind, fees }), 1..30)
}

fn payload(saying: &Saying, version: usize) -> String {
    let id = saying.id;
    if saying.kind == "destroyed" {
        return event("booking_destroyed", "Booking", &format!(r#"{{"links":{{}},"id":{id}}}"#));
    }
    let ids: Vec<String> = saying.fees.iter().map(u8::to_string).collect();
    let fees: Vec<String> =
        ids.iter().map(|id| format!(r#"{{"id":{id},"name":"{version}"}}"#)).collect();
    let (ids, fees) = (ids.join(","), fees.join(","));
    let data = format!(
        r#"{{"id":{id},"name":"{version}","links":{{"bookings_fees":[{ids}]}},"bookings_fees":[{fees}]}}"#
    );
    event(&format!("booking_{}", saying.kind), "Booking", &data)
}

/// Rows by the last message that names them.
fn truth(sayings: &[Saying]) -> (Value, Value) {
    let (mut bookings, mut fees) = (BTreeMap::new(), BTreeMap::new());
    for (version, saying) in sayings.iter().enumerate().map(|(i, saying)| (i + 1, saying)) {
        if saying.kind == "destroyed" {
            bookings.remove(&saying.id);
            continue;
        }
        bookings.insert(saying.id, version);
        fees.extend(saying.fees.iter().map(|id| (*id, version)));
    }
    let rows = |rows: BTreeMap<u8, usize>| {
        rows.into_iter()
            .map(|(id, version)| json!({ "id": id, "name": version.to_string() }))
            .collect()
    };
    (Value::Array(rows(bookings)), Value::Array(rows(fees)))
}

async fn state(database: &Database) -> (Value, Value) {
    (
        names(database).await,
        rows(database, "select synced_id as id, name from fees order by synced_id").await,
    )
}

async fn emptied(database: &Database) {
    sqlx::raw_sql("truncate bookings, fees, dionysus.guards, dionysus.consumer_offsets")
        .execute(&database.pool)
        .await
        .unwrap();
}

/// Runs an async property on generated cases; a failing case is printed whole.
fn property<S: Strategy>(cases: u32, strategy: &S, run: impl AsyncFn(&Database, &S::Value))
where
    S::Value: Clone,
{
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(database());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(strategy, |value| {
        runtime.block_on(async {
            emptied(&database).await;
            run(&database, &value).await;
        });
        Ok(())
    });
    // Its pool belongs to the runtime.
    runtime.block_on(async move { drop(database) });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn batches_of_any_size_end_as_the_last_records_say() {
    let strategy = (sayings(), proptest::collection::vec(1..8usize, 30));
    property(60, &strategy, async |database, (sayings, sizes)| {
        let mut topic = Partition::new(database, "v3_bookings").await;
        let records: Vec<Record> = sayings
            .iter()
            .enumerate()
            .map(|(i, saying)| {
                topic.message(&payload(saying, i + 1), Some((i64::try_from(i).unwrap() + 1, 0)))
            })
            .collect();
        let mut rest = records.as_slice();
        for size in sizes {
            let (batch, after) = rest.split_at((*size).min(rest.len()));
            topic.apply(batch).await;
            rest = after;
        }
        assert_eq!(state(database).await, truth(sayings));
    });
}

#[test]
fn messages_that_come_by_two_topics_in_any_order_end_the_same() {
    let strategy = (
        sayings(),
        proptest::collection::vec(any::<bool>(), 30),
        proptest::collection::vec(any::<usize>(), 30),
    );
    property(60, &strategy, async |database, (sayings, sides, order)| {
        let mut topics = [
            Partition::new(database, "v3_bookings").await,
            Partition::new(database, "v3_bookings_genesis").await,
        ];
        // Some come by both.
        let mut work: Vec<(usize, usize)> =
            (0..sayings.len()).map(|i| (i, usize::from(sides[i]))).collect();
        work.extend(
            (0..sayings.len()).filter(|i| order[*i] % 3 == 0).map(|i| (i, usize::from(!sides[i]))),
        );
        work.sort_by_key(|(i, side)| order[*i].rotate_left(u32::try_from(*side).unwrap()));
        for (i, side) in work {
            let message = payload(&sayings[i], i + 1);
            topics[side].one(&message, Some((i64::try_from(i).unwrap() + 1, 0))).await;
        }
        assert_eq!(state(database).await, truth(sayings));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_write_the_same_rows_at_once_end_the_same() {
    let database = database().await;
    let topics = ["v3_a", "v3_b", "v3_c", "v3_d"];
    let last = 200;
    let tasks: Vec<_> = topics
        .into_iter()
        .enumerate()
        .map(|(n, topic)| {
            let pool = database.pool.clone();
            let made = Partition::new(&database, topic);
            (n, pool, made)
        })
        .collect();
    let mut running = Vec::new();
    for (n, _, made) in tasks {
        let mut topic = made.await;
        running.push(tokio::spawn(async move {
            // Each topic brings every fourth version, its instances in an order of its own.
            let records: Vec<Record> = (1..=last)
                .filter(|version| version % 4 == n)
                .map(|version| {
                    let data = format!(r#"{{"id":{},"name":"{version}","links":{{"bookings_fees":[{}]}},"bookings_fees":[{{"id":{},"name":"{version}"}}]}}"#, version % 7, version % 5, version % 5);
                    let order = Some((i64::try_from(version).unwrap(), 0));
                    topic.message(&event("booking_updated", "Booking", &data), order)
                })
                .collect();
            for batch in records.chunks(6) {
                topic.apply(batch).await;
            }
        }));
    }
    for task in running {
        task.await.unwrap();
    }
    let newest = |ids: usize| -> Vec<Value> {
        (0..ids)
            .map(|id| json!({ "id": id, "name": (last - (last - id) % ids).to_string() }))
            .collect()
    };
    assert_eq!(state(&database).await, (Value::Array(newest(7)), Value::Array(newest(5))));
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_messages() {
    let mut counts = Vec::new();
    for size in [1, 300] {
        let database = database().await;
        let mut topic = Partition::new(&database, "v3_bookings").await;
        let mut records = Vec::new();
        for n in 0..size {
            let version = Some((i64::from(n) + 1, 0));
            let data = format!(
                r#"{{"id":{n},"name":"x","links":{{"bookings_fees":[{n}]}},"bookings_fees":[{{"id":{n},"name":"y"}}]}}"#
            );
            records.push(topic.message(&event("booking_updated", "Booking", &data), version));
            records.push(topic.message(
                &event("room_updated", "Room", &format!(r#"{{"id":{n},"name":"x"}}"#)),
                version,
            ));
            let gone = format!(r#"{{"links":{{}},"id":{}}}"#, n + 1_000_000);
            records.push(topic.message(&event("booking_destroyed", "Booking", &gone), version));
        }
        let statements = Arc::new(AtomicUsize::new(0));
        let counting = tracing::dispatcher::set_default(&tracing::Dispatch::new(Statements(
            Arc::clone(&statements),
        )));
        let applied = topic.apply(&records).await;
        drop(counting);
        assert_eq!(applied.applied, 4 * u64::from(u32::try_from(size).unwrap()));
        counts.push(statements.load(Ordering::Relaxed));
    }
    // Step and judgement; an upsert of rooms, bookings and fees each, a delete of bookings; the commit.
    assert_eq!(counts, [7, 7]);
}

/// Counts what sqlx says of each statement.
struct Statements(Arc<AtomicUsize>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("sqlx::query")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
