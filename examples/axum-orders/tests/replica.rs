//! Orders at somebody else's: everything at once, and in the end the copy equals the source.

use axum::http::Method;
use chrono::{DateTime, Utc};
use dionysus::Replica;
use dionysus::consumer::{ClientConfig, Consumer};
use dionysus_e2e::{Seed, eventually};
use dionysus_embedded::testing;
use rand::Rng as _;
use rand::rngs::StdRng;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::service::{Api, Service};

const CLIENTS: u64 = 8;
const REQUESTS: usize = 30;
const COPIES: &str = "create table order_copies (
    synced_id bigint primary key, synced_customer_id bigint, customer_name text, total numeric,
    synced_canceled_at timestamptz)";
const SOURCE: &str =
    "select id as synced_id, customer_id as synced_customer_id, customer_name, total,
        canceled_at as synced_canceled_at
    from order_snapshots where canceled_at is null order by id";
const COPY: &str = "select * from order_copies where synced_canceled_at is null order by synced_id";

#[derive(Debug, PartialEq, sqlx::FromRow, Replica)]
#[replica(model = "Order", table = "order_copies")]
struct OrderCopy {
    synced_id: i64,
    synced_customer_id: i64,
    customer_name: String,
    total: Decimal,
    synced_canceled_at: Option<DateTime<Utc>>,
}

#[tokio::test]
async fn after_many_requests_at_once_messages_and_replica_equal_the_source() {
    let service = Service::start().await;
    let copies = testing::database().await;
    dionysus::schema::migrate(&copies.pool).await.unwrap();
    sqlx::query(COPIES).execute(&copies.pool).await.unwrap();
    let consumer = Consumer::builder(copies.pool.clone(), ClientConfig::new(&service.brokers))
        .group(service.topic())
        .topic(service.topic(), [OrderCopy::mapping()])
        .build()
        .unwrap();
    let stop = CancellationToken::new();
    let consumer = tokio::spawn(consumer.run(stop.clone()));

    for name in ["Zoe", "Ann"] {
        let customer = service.api.customer(name).await;
        for _ in 0..2 {
            service.api.order(customer, &["tea", "sugar", "milk"]).await;
        }
    }
    let seed = Seed::of_run();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (api, mut random) = (service.api.clone(), seed.stream(client));
        clients.spawn(async move {
            for _ in 0..REQUESTS {
                any_request(&api, &mut random).await;
            }
        });
    }
    clients.join_all().await;

    last_messages_equal_the_source(&service).await;
    let source = orders(&service.database.pool, SOURCE).await;
    eventually("the replica to equal its source", async || {
        (orders(&copies.pool, COPY).await == source).then_some(())
    })
    .await;
    stop.cancel();
    consumer.await.unwrap().unwrap();
}

/// One that may come too late for what others did meanwhile, but never fails otherwise.
async fn any_request(api: &Api, random: &mut StdRng) {
    let (customer, order, line) =
        (random.random_range(1..=2), random.random_range(1..=8), random.random_range(1..=24));
    let path = format!("/orders/{order}/lines/{line}");
    let new = json!({ "product": "tea", "quantity": 1, "unit_price": "2.25" });
    let (method, path, body) = match random.random_range(0..10) {
        0 => {
            (Method::POST, "/orders".to_owned(), json!({ "customer_id": customer, "lines": [new] }))
        }
        1 => {
            let name = format!("{customer} of {}", random.random::<u16>());
            (Method::PATCH, format!("/customers/{customer}"), json!({ "name": name }))
        }
        2 if random.random_range(0..4) == 0 => {
            (Method::POST, format!("/orders/{order}/cancel"), Value::Null)
        }
        2 | 3 => (Method::DELETE, path, Value::Null),
        4..7 => {
            let target = random.random_range(1..=8);
            (Method::POST, format!("{path}/move"), json!({ "order_id": target }))
        }
        _ => (Method::PATCH, path, json!({ "quantity": random.random_range(1..100) })),
    };
    let (status, answer) = api.call(method.clone(), &path, body).await;
    let expected = status.is_success() || matches!(status.as_u16(), 404 | 409 | 422);
    assert!(expected, "{method} {path}: {status}, {answer}");
}

/// The last message of each order tells what a request for it does; of a canceled one, that it is.
async fn last_messages_equal_the_source(service: &Service) {
    let messages = service.messages().await;
    let ids: Vec<i64> = sqlx::query_scalar("select id from orders order by id")
        .fetch_all(&service.database.pool)
        .await
        .unwrap();
    assert!(ids.len() > 4, "{ids:?}");
    for id in ids {
        let order = service.api.done(Method::GET, &format!("/orders/{id}"), Value::Null).await;
        let key = format!("Order:{id}");
        let last = messages.iter().rev().find(|message| message.key == key).unwrap();
        assert_eq!(last.order["canceled_at"].is_null(), order["canceled_at"].is_null(), "{key}");
        if !order["canceled_at"].is_null() {
            continue;
        }
        let mut lines = order["lines"].clone();
        for line in lines.as_array_mut().unwrap() {
            line["unit_price"] = decimal(&line["unit_price"]);
            let line = line.as_object_mut().unwrap();
            let order = line.remove("order_id").unwrap();
            line.insert("links".to_owned(), json!({ "order": order }));
        }
        let mut published = last.order["order_lines"].clone();
        for line in published.as_array_mut().unwrap() {
            line["unit_price"] = decimal(&line["unit_price"]);
        }
        assert_eq!(published, lines, "{key}");
        assert_eq!(last.order["customer_name"], order["customer_name"], "{key}");
        assert_eq!(decimal(&last.order["total"]), decimal(&order["total"]), "{key}");
    }
}

/// Without the zeros at its end, of which the wire has its own rule.
fn decimal(text: &Value) -> Value {
    let number: Decimal = text.as_str().unwrap().parse().unwrap();
    number.normalize().to_string().into()
}

async fn orders(pool: &PgPool, sql: &'static str) -> Vec<OrderCopy> {
    sqlx::query_as(sql).fetch_all(pool).await.unwrap()
}
