//! A running service with a relay beside it, and its topics.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum_orders::{AppState, serve};
use dionysus::{Relay, RelayOptions, headers};
use dionysus_e2e::{drained, eventually, read_records};
use dionysus_embedded::testing::{self, Database};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

const LIMIT: Duration = Duration::from_secs(30);

/// Ends with the value.
pub(crate) struct Service {
    pub(crate) api: Api,
    pub(crate) brokers: String,
    pub(crate) namespace: String,
    _stop: DropGuard,
    _tasks: JoinSet<()>,
    pub(crate) database: Database,
}

/// A client of it.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client<HttpConnector, Body>,
    address: String,
}

/// A message of the topic `orders`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) key: String,
    pub(crate) partition: i32,
    pub(crate) version: i64,
    pub(crate) event: String,
    /// The snapshot.
    pub(crate) order: Value,
    pub(crate) traceparent: Option<String>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let (database, brokers) = (testing::database().await, testing::brokers().await);
        let namespace = testing::topic("v1");
        let state = AppState::prepare(database.pool.clone(), &namespace).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Api::at(&listener.local_addr().unwrap().to_string());
        let options = RelayOptions {
            checkpoint_interval: Duration::from_millis(50),
            partitions: 3,
            ..RelayOptions::default()
        };
        let relay = Relay::new(database.url.parse().unwrap(), &brokers, options).unwrap();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (served, relayed) = (serve(listener, state, stop.clone()), relay.run(stop.clone()));
        tasks.spawn(async { served.await.unwrap() });
        tasks.spawn(async { relayed.await.unwrap() });
        Self { api, brokers, namespace, _stop: stop.drop_guard(), _tasks: tasks, database }
    }

    pub(crate) fn topic(&self) -> String {
        format!("{}_orders", self.namespace)
    }

    /// What is published of orders, in the order of versions, once everything committed is published. Each key is seen to have one
    /// partition, and there the order of versions; what a relay repeated is left out.
    pub(crate) async fn messages(&self) -> Vec<Message> {
        drained(&self.database.pool, LIMIT).await.unwrap();
        let mut messages: Vec<Message> = Vec::new();
        let mut last: HashMap<String, (i32, i64)> = HashMap::new();
        for (partition, record) in read_records(&self.brokers, &self.topic()).await.unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let key = text(record.key.as_deref().unwrap());
            let version = text(record.header(headers::VERSION).unwrap()).parse().unwrap();
            let (place, newest) = last.entry(key.clone()).or_insert((partition, 0));
            assert_eq!(*place, partition, "{key} is in two partitions");
            if messages.iter().any(|message| message.version == version) {
                continue;
            }
            assert!(version > *newest, "{key}: {version} comes after {newest}");
            *newest = version;
            let value: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
            let event = &value["message"][0];
            messages.push(Message {
                key,
                partition,
                version,
                event: event["event"].as_str().unwrap().to_owned(),
                order: event["data"][0].clone(),
                traceparent: record.header(headers::TRACEPARENT).map(text),
            });
        }
        messages.sort_by_key(|message| message.version);
        messages
    }

    /// Waits until this many sessions of the database wait for a lock, the relay's aside.
    pub(crate) async fn waiting(&self, sessions: i64) {
        waiting(&self.database.pool, sessions).await;
    }
}

/// As [`Service::waiting`].
pub(crate) async fn waiting(pool: &PgPool, sessions: i64) {
    eventually("sessions that wait for a lock", async || {
        let sql = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'
                and application_name not like 'outbox-relay%'";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.unwrap();
        (count == sessions).then_some(())
    })
    .await;
}

impl Api {
    pub(crate) fn at(address: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, address: address.to_owned() }
    }

    /// Status and body; a body that is not JSON as a text.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        self.traced(method, path, body, None).await
    }

    /// With a header `traceparent`.
    pub(crate) async fn traced(
        &self,
        method: Method,
        path: &str,
        body: Value,
        traceparent: Option<&str>,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(url);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        };
        let response = self.client.request(request.body(body).unwrap()).await.unwrap();
        let (status, body) = (response.status(), Body::new(response.into_body()));
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A call that has to succeed.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, body) = self.call(method, path, body).await;
        assert!(status.is_success(), "{status}: {body}");
        body
    }

    /// The id of a new customer.
    pub(crate) async fn customer(&self, name: &str) -> i64 {
        let customer = self.done(Method::POST, "/customers", json!({ "name": name })).await;
        customer["id"].as_i64().unwrap()
    }

    /// The ids of a new order and its lines, one of each product at 1.50.
    pub(crate) async fn order(&self, customer: i64, products: &[&str]) -> (i64, Vec<i64>) {
        let line = |product| json!({ "product": product, "quantity": 1, "unit_price": "1.50" });
        let lines: Vec<Value> = products.iter().map(line).collect();
        let new = json!({ "customer_id": customer, "lines": lines });
        let order = self.done(Method::POST, "/orders", new).await;
        let lines = order["lines"].as_array().unwrap().iter();
        (order["id"].as_i64().unwrap(), lines.map(|line| line["id"].as_i64().unwrap()).collect())
    }

    pub(crate) async fn quantity(&self, order: i64, line: i64, quantity: i64) -> Value {
        let path = format!("/orders/{order}/lines/{line}");
        self.done(Method::PATCH, &path, json!({ "quantity": quantity })).await
    }

    pub(crate) async fn rename(&self, customer: i64, name: &str) -> Value {
        let path = format!("/customers/{customer}");
        self.done(Method::PATCH, &path, json!({ "name": name })).await
    }
}

/// Key, event, and product and quantity of each line: what a change is known by.
pub(crate) type Brief<'a> = (&'a str, &'a str, Vec<(String, i64)>);

impl Message {
    pub(crate) fn brief(&self) -> Brief<'_> {
        let line = |line: &Value| {
            let product = line["product"].as_str().unwrap().to_owned();
            (product, line["quantity"].as_i64().unwrap())
        };
        let lines = self.order["order_lines"].as_array().unwrap().iter().map(line).collect();
        (&self.key, &self.event, lines)
    }
}

/// What [`Message::brief`] gives.
pub(crate) fn brief<'a>(key: &'a str, event: &'a str, lines: &[(&str, i64)]) -> Brief<'a> {
    let line = |(product, quantity): &(&str, i64)| ((*product).to_owned(), *quantity);
    (key, event, lines.iter().map(line).collect())
}
