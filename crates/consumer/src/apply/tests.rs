//! Batches against a real Postgres.

mod convergence;
mod removal;
mod statements;
mod table;

use dionysus_core::{ColumnMapping, Removal, ReplicaMapping};
use dionysus_embedded::testing::{self, Database};
use dionysus_kafka::Record;
use dionysus_postgres::schema;
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

/// W5: the gem drops the parts with a root that is too old.
#[tokio::test]
async fn parts_under_a_stale_root_are_judged_by_themselves() {
    let database = database().await;
    let mut live = Partition::new(&database, "v3_bookings").await;
    let mut late = Partition::new(&database, "v3_bookings_genesis").await;
    let booking = |id: u8, name: &str, fees: &str| {
        let parts = format!(r#""links":{{"bookings_fees":[]}},"bookings_fees":[{fees}]"#);
        let data = format!(r#"{{"id":{id},"name":"{name}",{parts}}}"#);
        event("booking_updated", "Booking", &data)
    };
    live.one(&booking(1, "new", ""), Some((6, 0))).await;
    live.one(&booking(2, "other", r#"{"id":12,"name":"new"}"#), Some((9, 0))).await;
    let fees = r#"{"id":11,"name":"never seen"},{"id":12,"name":"old"}"#;
    let applied = late.one(&booking(1, "old", fees), Some((5, 0))).await;
    assert_eq!(applied, Applied { applied: 1, stale: 2 });
    assert_eq!(names(&database).await[0], json!({ "id": 1, "name": "new" }));
    let fees = rows(&database, "select name from fees order by synced_id").await;
    assert_eq!(fees, json!([{ "name": "never seen" }, { "name": "new" }]));
}

/// W44: the gem assigns whatever the model has a setter for.
#[tokio::test]
async fn a_column_that_nobody_mapped_is_not_written_whatever_a_message_names() {
    let database = database().await;
    let mut topic = Partition::new(&database, "v3_rooms").await;
    for (version, kind) in [(1, "created"), (2, "updated")] {
        let data = r#"{"id":1,"name":"a","canceled":true}"#;
        topic.one(&event(&format!("room_{kind}"), "Room", data), Some((version, 0))).await;
        let written = rows(&database, "select name, canceled from rooms").await;
        assert_eq!(written, json!([{ "name": "a", "canceled": null }]));
    }
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
