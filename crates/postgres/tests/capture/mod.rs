//! Capture by trigger, met by plain SQL as psql would send it. The bytes of all column types are compared in `crates/dionysus/tests/captured`.

mod generated;
mod order;
mod refused;
mod transitions;
mod uncapturable;

use dionysus_core::encode_captured;
use dionysus_embedded::testing::Database;
use dionysus_postgres::capture;
use dionysus_postgres::topics::{self, Registration};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::support::database;

pub(crate) const TOPIC: &str = "v3_rentals";

pub(crate) const TABLE: &str = "create table rentals (
    id bigint primary key, account_id bigint, name text, price numeric, secret text, updated_at timestamptz, canceled_at timestamptz)";

pub(crate) fn attribute(name: &str, schema: impl Into<Value>) -> Value {
    let schema = schema.into();
    json!({ "name": name, "column": name, "type": "?", "hidden": false, "schema": schema })
}

pub(crate) fn hidden(name: &str) -> Value {
    json!({ "name": name, "column": name, "type": "?", "hidden": true, "schema": null })
}

pub(crate) fn integer() -> Value {
    json!({ "type": "integer" })
}

pub(crate) fn text() -> Value {
    json!({ "type": ["string", "null"] })
}

pub(crate) fn decimal() -> Value {
    json!({ "type": ["string", "null"], "format": "decimal" })
}

pub(crate) fn time() -> Value {
    json!({ "type": ["string", "null"], "format": "date-time" })
}

/// Columns and links say their schemas here. `Rental`: a hidden partition key, a column that is not published, a soft delete.
pub(crate) fn rental() -> Value {
    json!({
        "model": "Rental", "base": null, "table": "rentals", "primary_key": "id", "select": null, "source": "sql",
        "columns": [attribute("id", integer()), hidden("account_id"), attribute("name", text()), attribute("price", decimal()),
            attribute("updated_at", time()), attribute("canceled_at", time())],
        "links": [], "parts": [], "observes": [], "soft_delete": "canceled_at", "updates_after_soft_delete": false,
        "partition_key": { "attribute": "account_id", "integer": false },
    })
}

/// A model with some fields in place of others.
pub(crate) fn with(mut model: Value, mut fields: Value) -> Value {
    model.as_object_mut().unwrap().append(fields.as_object_mut().unwrap());
    model
}

/// A model as it is registered, where the schemas stand together.
fn registered(mut model: Value) -> Value {
    let mut schemas = |field: &str| -> serde_json::Map<String, Value> {
        let members = model[field].as_array_mut().into_iter().flatten();
        let taken = members.filter_map(|member| {
            let schema = member["schema"].take();
            (!schema.is_null()).then(|| (member["name"].as_str().unwrap().to_owned(), schema))
        });
        taken.collect()
    };
    let (mut properties, links) = (schemas("columns"), schemas("links"));
    properties.insert("links".into(), json!({ "type": "object", "properties": links }));
    model["schema"] = json!({ "type": "object", "properties": properties });
    model
}

pub(crate) async fn register(pool: &PgPool, models: Value) {
    let models: Vec<Value> = models.as_array().unwrap().iter().cloned().map(registered).collect();
    register_with(pool, json!({ "format": 1, "max_message_bytes": 5000, "models": models })).await;
}

pub(crate) async fn register_with(pool: &PgPool, topology: Value) {
    let registration = Registration {
        name: TOPIC.to_owned(),
        namespace: "v3".to_owned(),
        genesis_replica: false,
        topology,
    };
    topics::register(&mut pool.acquire().await.unwrap(), &[registration]).await.unwrap();
}

/// A database with a table, and its model captured.
pub(crate) async fn captured(table: &'static str, model: Value) -> Database {
    let database = database().await;
    run(&database.pool, table).await;
    register(&database.pool, json!([model])).await;
    install(&database.pool).await;
    database
}

pub(crate) async fn install(pool: &PgPool) {
    let sql = capture::install(pool, TOPIC, None).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

pub(crate) async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

pub(crate) async fn run_on(conn: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(conn).await.unwrap();
}

/// `key event partition-key snapshot` of each row, in their order; a tombstone ends with `-`.
pub(crate) async fn rows(pool: &PgPool) -> Vec<String> {
    let rows: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "select key, event, partition_key, capture::text from dionysus.outbox order by seq",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(key, event, partition_key, capture)| {
            let partition_key = partition_key.unwrap_or_else(|| "-".into());
            let snapshot = capture.map_or_else(|| "-".into(), |capture| snapshot(&capture, &event));
            format!("{key} {event} {partition_key} {snapshot}")
        })
        .collect()
}

/// What a captured message says of the instance.
pub(crate) fn snapshot(capture: &str, event: &str) -> String {
    let mut message = Vec::new();
    encode_captured(capture, &mut message).unwrap();
    let message = String::from_utf8(message).unwrap();
    assert!(message.starts_with(&format!(r#"{{"message":[{{"event":"{event}","#)), "{message}");
    let (_, data) = message.split_once(r#""data":["#).unwrap();
    data.strip_suffix("]}]}").unwrap().to_owned()
}

/// The events so far, and forgets them.
pub(crate) async fn events(pool: &PgPool) -> Vec<String> {
    let events = sqlx::query_scalar("select key || ' ' || event from dionysus.outbox order by seq")
        .fetch_all(pool)
        .await
        .unwrap();
    run(pool, "truncate dionysus.outbox").await;
    events
}
