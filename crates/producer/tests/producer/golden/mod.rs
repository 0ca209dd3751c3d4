//! Recordings of the gem. The recorded statements are run; what is published is told by the states of the table before and after each,
//! not by the test.

mod simple_crud;
mod soft_delete;

use std::collections::BTreeMap;

use dionysus_producer::{Outbox, Publishable};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgPool};

/// A recording, as `tests/golden` holds it.
struct Recording(Value);

impl Recording {
    fn load(name: &str) -> Self {
        let path = format!("{}/../../tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
        Self(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    }

    async fn create_table(&self, pool: &PgPool, table: &str) {
        let sql = text(&self.0["tables"], table).to_owned();
        sqlx::raw_sql("drop table if exists rentals").execute(pool).await.unwrap();
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
async fn run<M>(outbox: &Outbox, step: &Value)
where
    M: Publishable + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static,
{
    let statements: Vec<&str> = list(&step["sql"]).iter().filter_map(Value::as_str).collect();
    for transaction in statements.split(|statement| *statement == "COMMIT") {
        let [begin, changes @ ..] = transaction else { continue };
        assert_eq!(*begin, "BEGIN");
        let mut tx = outbox.begin().await.unwrap();
        let mut before = states::<M>(&mut tx).await;
        for &change in changes {
            sqlx::query(AssertSqlSafe(change.to_owned())).execute(&mut *tx).await.unwrap();
            let after = states::<M>(&mut tx).await;
            let ids = before.keys().chain(after.keys().filter(|id| !before.contains_key(*id)));
            let pairs = ids.map(|id| (before.get(id), after.get(id)));
            tx.changed_all(pairs).unwrap();
            before = after;
        }
        tx.commit().await.unwrap();
    }
}

/// The rows of a model's table, locked.
async fn states<M>(tx: &mut sqlx::PgConnection) -> BTreeMap<String, M>
where
    M: Publishable + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let sql = format!("select * from {} order by {} for update", M::TABLE, M::PRIMARY_KEY);
    let all: Vec<M> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(tx).await.unwrap();
    all.into_iter().map(|instance| (instance.id(), instance)).collect()
}
