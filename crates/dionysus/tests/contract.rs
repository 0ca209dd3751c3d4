//! What an application declares is what the database tells of it: the payload contract survives the way through the registered topology.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use chrono::{DateTime, Utc};
use dionysus::contract::{self, TopicContract};
use dionysus::{Outbox, Part, Polymorphic, Publishable, Topology, types};
use dionysus_embedded::testing;
use serde_json::{Value, json};
use sqlx::FromRow;

#[derive(FromRow, Publishable)]
#[publishable(model = "Core::Booking", table = "bookings", partition_key = "account_id")]
struct Booking {
    #[publishable(rename = "number")]
    id: i64,
    name: Option<String>,
    price: types::Numeric,
    canceled_at: Option<DateTime<Utc>>,
    #[publishable(hidden)]
    note: Option<String>,
    #[sqlx(skip)]
    #[publishable(value = "Self::title")]
    title: (),
    #[publishable(link = "account", attribute)]
    account_id: Option<i64>,
    #[sqlx(skip)]
    #[publishable(link = "guest", value = "Self::guest")]
    guest: (),
    #[publishable(links = "tags")]
    tag_ids: Vec<uuid::Uuid>,
    #[sqlx(skip)]
    #[publishable(part)]
    fees: Part<Vec<Fee>>,
}

impl Booking {
    /// Borrows from the instance: the derive still sees that it is a text that may be missing.
    fn title(&self) -> Option<&str> {
        self.name.as_deref().or(self.note.as_deref())
    }

    fn guest(&self) -> Polymorphic<&str, Option<i64>> {
        Polymorphic { model: "Person", id: self.account_id }
    }
}

#[derive(FromRow, Publishable)]
#[publishable(table = "fees")]
struct Fee {
    id: i64,
    amount: f64,
    #[publishable(link = "booking")]
    booking_id: i64,
}

fn topology() -> Topology {
    let declare = Topology::builder().namespace("v3", |ns| {
        ns.topic("bookings", |t| t.genesis_replica().publish::<Booking>())
            .topic("fees", |t| t.publish::<Fee>())
    });
    declare.build().unwrap()
}

/// What the application itself knows.
fn declared(topology: &Topology) -> Vec<TopicContract> {
    let registrations = topology.registrations();
    registrations
        .iter()
        .map(|r| TopicContract::registered(&r.name, &r.namespace, r.genesis_replica, &r.topology))
        .collect()
}

#[test]
fn a_model_is_told_by_its_types() {
    let document = contract::document(&declared(&topology()));
    let schema = &document["components"]["schemas"]["v3_bookings.Core-Booking"];
    assert_eq!(
        schema["required"],
        json!(["number", "name", "price", "canceled_at", "title", "account_id", "links"])
    );
    let types = |schema: &Value| schema["type"].clone();
    let of = |name: &str| types(&schema["properties"][name]);
    let nullable = |name: &str| json!([name, "null"]);
    assert_eq!(of("number"), "integer");
    assert_eq!((of("name"), of("price")), (nullable("string"), nullable("string")));
    assert_eq!(of("title"), nullable("string"), "what `Self::title` returns");
    let links = &schema["properties"]["links"];
    assert_eq!(links["required"], json!(["account", "guest", "tags", "fees"]));
    assert_eq!(types(&links["properties"]["guest"]["properties"]["id"]), nullable("integer"));
    assert_eq!(links["properties"]["tags"]["items"]["format"], "uuid");
    let fee = &document["components"]["schemas"]["v3_fees.Fee"]["properties"]["amount"];
    assert_eq!(*fee, json!({ "type": ["number", "null"], "format": "double" }), "NaN is null");
    let destroyed = &document["components"]["messages"]["v3_bookings.Core-Booking.destroyed"];
    let event = &destroyed["payload"]["properties"]["message"]["items"]["properties"];
    assert_eq!(event["event"]["const"], "core_booking_destroyed");
    assert_eq!(event["data"]["items"]["required"], json!(["links", "id"]), "the column's name");
    assert_eq!(types(&event["data"]["items"]["properties"]["id"]), "integer");
}

#[tokio::test]
async fn the_database_tells_the_same_document_and_the_same_topology_is_not_written_again() {
    let database = testing::database().await;
    dionysus::schema::migrate(&database.pool).await.unwrap();
    let written = async || -> Vec<(String, String)> {
        sqlx::query_as("select name, xmin::text from dionysus.topics order by name")
            .fetch_all(&database.pool)
            .await
            .unwrap()
    };
    Outbox::connect(database.pool.clone(), topology()).await.unwrap();
    let first = written().await;
    assert_eq!(first.len(), 2);
    Outbox::connect(database.pool.clone(), topology()).await.unwrap();
    assert_eq!(written().await, first, "an unchanged topology writes nothing");

    let registered = dionysus_postgres::topics::all(&database.pool).await.unwrap();
    let registered: Vec<TopicContract> = registered
        .iter()
        .map(|r| TopicContract::registered(&r.name, &r.namespace, r.genesis_replica, &r.topology))
        .collect();
    let (here, there) =
        (contract::document(&declared(&topology())), contract::document(&registered));
    assert_eq!(here.to_string(), there.to_string());
    let read = contract::read(&there).unwrap();
    assert_eq!(contract::diff(&read, &declared(&topology())), []);
}
