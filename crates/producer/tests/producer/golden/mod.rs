//! Recordings of the gem. The recorded statements are run; what is published is told by the states of the table before and after each,
//! not by the test.

mod aggregates;
mod links;
mod model_names;
mod observers;
mod partition_keys;
mod simple_crud;
mod soft_delete;

use std::collections::BTreeMap;

use async_trait::async_trait;
use dionysus_producer::{Outbox, OutboxTransaction, Readable, Topology};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

use crate::fixture::{Row, migrated, rows};

/// A recording, as `tests/golden` holds it.
struct Recording(Value);

impl Recording {
    fn load(name: &str) -> Self {
        let path = format!("{}/../../tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    async fn create_table(&self, pool: &PgPool, table: &str) {
        let sql = text(&self.0["tables"], table).to_owned();
        let old = format!("drop table if exists {table}");
        sqlx::raw_sql(AssertSqlSafe(old)).execute(pool).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    }

    fn steps(&self) -> &[Value] {
        list(&self.0["steps"])
    }

    /// All of one field of all steps, in order.
    fn all(&self, field: &str) -> Vec<&Value> {
        self.steps().iter().flat_map(|step| list(&step[field])).collect()
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Runs the transactions of a step on a model's table, and stages each difference that a statement made.
async fn run<M: Readable + Sync>(outbox: &Outbox, step: &Value) {
    run_all(outbox, step, &mut [watch::<M>()]).await;
}

/// As [`run`], on the tables of several models.
async fn run_all(outbox: &Outbox, step: &Value, tables: &mut [Box<dyn Watched>]) {
    let statements: Vec<&str> = list(&step["sql"]).iter().filter_map(Value::as_str).collect();
    for transaction in statements.split(|statement| *statement == "COMMIT") {
        let [begin, changes @ ..] = transaction else { continue };
        assert_eq!(*begin, "BEGIN");
        let mut tx = outbox.begin().await.unwrap();
        for table in &mut *tables {
            table.look(&mut tx, false).await;
        }
        for &change in changes {
            sqlx::query(AssertSqlSafe(change.to_owned())).execute(&mut *tx).await.unwrap();
            for table in &mut *tables {
                table.look(&mut tx, true).await;
            }
        }
        tx.commit().await.unwrap();
    }
}

/// The instances of a model as they were when it was looked at last.
#[async_trait]
trait Watched: Send {
    /// Looks again, and stages what has changed since.
    async fn look(&mut self, tx: &mut OutboxTransaction<'_>, stage: bool);
}

struct States<M>(BTreeMap<String, M>);

fn watch<M: Readable + Sync>() -> Box<dyn Watched> {
    Box::new(States::<M>(BTreeMap::new()))
}

#[async_trait]
impl<M: Readable + Sync> Watched for States<M> {
    async fn look(&mut self, tx: &mut OutboxTransaction<'_>, stage: bool) {
        let from = M::SELECT.map_or_else(|| M::TABLE.to_owned(), |query| format!("({query})"));
        let sql = format!("select t.* from {from} t order by t.{} for update", M::PRIMARY_KEY);
        let all: Vec<M> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut **tx).await.unwrap();
        let after: BTreeMap<String, M> =
            all.into_iter().map(|instance| (instance.id(), instance)).collect();
        if stage {
            let before = &self.0;
            let ids = before.keys().chain(after.keys().filter(|id| !before.contains_key(*id)));
            tx.changed_all(ids.map(|id| (before.get(id), after.get(id)))).unwrap();
        }
        self.0 = after;
    }
}

/// What one operation of a recording comes to.
enum Message {
    /// The gem's message: the number of its step, and which of that step.
    Recorded(u64, usize),
    /// Ours, where it is deliberately stronger: key, partition key and the event in the envelope.
    Ours(&'static str, Option<&'static str>, String),
}

/// Runs a whole recording, and compares the rows that each operation writes, in their order.
async fn holds(
    name: &str,
    topology: Topology,
    mut tables: Vec<Box<dyn Watched>>,
    expected: &[(u64, &[Message])],
) {
    let recording = Recording::load(name);
    let database = migrated().await;
    for (table, _) in recording.0["tables"].as_object().unwrap() {
        if table != "dionysus_outboxes" {
            recording.create_table(&database.pool, table).await;
        }
    }
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    let mut known = 0;
    for step in recording.steps().iter().filter(|step| step["kind"] == "operation") {
        run_all(&outbox, step, &mut tables).await;
        let all = rows(&database.pool).await;
        let number = step["n"].as_u64().unwrap();
        let messages =
            expected.iter().find(|(n, _)| *n == number).map_or(&[][..], |(_, messages)| messages);
        let found: Vec<_> = all[known..].iter().map(facts).collect();
        let wanted: Vec<_> = messages.iter().map(|message| recording.facts(message)).collect();
        assert_eq!(found, wanted, "step {number}: {}", text(step, "do"));
        known = all.len();
    }
}

/// Key, partition key and value.
type Facts = (String, Option<String>, String);

fn facts(row: &Row) -> Facts {
    (row.key.clone(), row.partition_key.clone(), row.payload.clone())
}

impl Recording {
    fn facts(&self, message: &Message) -> Facts {
        match message {
            Message::Recorded(step, at) => {
                let step = self.steps().iter().find(|found| found["n"] == *step).unwrap();
                let message = &list(&step["messages"])[*at];
                (
                    text(message, "key").to_owned(),
                    message["partition_key"].as_str().map(str::to_owned),
                    text(message, "payload").to_owned(),
                )
            }
            Message::Ours(key, partition_key, event) => (
                (*key).to_owned(),
                partition_key.map(str::to_owned),
                format!(r#"{{"message":[{event}]}}"#),
            ),
        }
    }
}
