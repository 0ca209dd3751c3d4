//! `dionysus capture sql`, with what it prints run against Postgres.

use dionysus_embedded::testing;
use dionysus_postgres::topics::{self, Registration};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

use super::{dionysus, stderr, stdout};

async fn register(pool: &PgPool, columns: serde_json::Value) {
    let schema = json!({ "type": "object", "properties": {
        "id": { "type": "integer" }, "name": { "type": ["string", "null"] }, "shout": { "type": "string" },
        "links": { "type": "object", "properties": {} },
    } });
    let registration = Registration {
        name: "v3_rentals".into(),
        namespace: "v3".into(),
        genesis_replica: false,
        topology: json!({ "format": 1, "max_message_bytes": 998_976, "models": [{
            "model": "Rental", "table": "rentals", "primary_key": "id", "columns": columns, "links": [], "schema": schema,
        }] }),
    };
    topics::register(&mut pool.acquire().await.unwrap(), &[registration]).await.unwrap();
}

async fn run(pool: &PgPool, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

async fn events(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("select key || ' ' || event from dionysus.outbox order by seq")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_it_prints_captures_writes_until_what_it_prints_to_drop_it_was_run() {
    let database = testing::database().await;
    let (pool, url) = (&database.pool, [("DATABASE_URL", database.url.as_str())]);
    stdout(&dionysus(&["migrate"], &url));
    run(pool, "create table rentals (id int primary key, name text)".into()).await;
    let column = |name: &str| json!({ "name": name, "column": name, "hidden": false });
    register(pool, json!([column("id"), column("name")])).await;
    let sql = ["capture", "sql", "--topic", "v3_rentals"];

    let install = stdout(&dionysus(&[&sql[..], &["--model", "Rental"]].concat(), &url));
    run(pool, "insert into rentals values (1, 'before')".into()).await;
    run(pool, install).await;
    run(
        pool,
        "insert into rentals values (2, 'captured'); update rentals set name = 'x' where id = 1"
            .into(),
    )
    .await;
    run(pool, stdout(&dionysus(&[&sql[..], &["--drop"]].concat(), &url))).await;
    run(pool, "delete from rentals".into()).await;
    assert_eq!(events(pool).await, ["Rental:2 rental_created", "Rental:1 rental_updated"]);
}

#[tokio::test]
async fn what_cannot_be_captured_is_refused_with_its_reason_and_a_remedy() {
    let database = testing::database().await;
    let (pool, url) = (&database.pool, [("DATABASE_URL", database.url.as_str())]);
    let sql = ["capture", "sql", "--topic", "v3_rentals"];
    assert!(stderr(&dionysus(&sql, &url), 3).contains("\n  remedy: run `dionysus migrate`"));
    stdout(&dionysus(&["migrate"], &url));
    let unknown = stderr(&dionysus(&sql, &url), 1);
    assert!(
        unknown.starts_with("error: topic `v3_rentals` is not registered in this database\n"),
        "{unknown}"
    );
    assert!(unknown.contains("\n  remedy: see `dionysus topics list`"), "{unknown}");

    run(pool, "create table rentals (id int primary key)".into()).await;
    let computed = json!({ "name": "shout", "column": "", "hidden": false });
    register(pool, json!([{ "name": "id", "column": "id", "hidden": false }, computed])).await;
    let refused = stderr(&dionysus(&sql, &url), 1);
    assert!(
        refused.starts_with("error: topic `v3_rentals` cannot be captured by triggers: model `Rental`: attribute `shout` is computed"),
        "{refused}"
    );
    assert!(
        refused.contains("\n  remedy: state the events of this model in the application"),
        "{refused}"
    );
    let other = stderr(&dionysus(&[&sql[..], &["--model", "Villa"]].concat(), &url), 1);
    assert!(
        other.starts_with("error: topic `v3_rentals` does not publish the model `Villa`\n"),
        "{other}"
    );
}

#[test]
fn it_tells_what_it_is_for() {
    assert_eq!(dionysus(&["capture", "sql"], &[]).status.code(), Some(2), "a topic is needed");
    let help = stdout(&dionysus(&["capture", "sql", "--help"], &[]));
    assert!(help.contains("dionysus.capture=off") && help.contains("Exit codes:"), "{help}");
    let script = stdout(&dionysus(&["completion", "bash"], &[]));
    assert!(script.contains("dionysus__capture__sql") || script.contains("capture"), "{script}");
}
