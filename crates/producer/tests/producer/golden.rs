//! The recording `01a-simple-crud`: the recorded statements are run, and each change is stated as Rails stated it to the gem.

use chrono::NaiveDateTime;
use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, Topology};
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow};

use crate::fixture::{Row, migrated, rows};

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Note", table = "notes")]
struct Note {
    id: i64,
    account_id: Option<i64>,
    body: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Runs a recorded statement, and stages what it did if `stage`.
async fn run(outbox: &Outbox, statement: &str, stage: bool) {
    let statement = statement.strip_suffix(" RETURNING \"id\"").unwrap_or(statement);
    let mut tx = outbox.begin().await.unwrap();
    let note: Note = sqlx::query_as(AssertSqlSafe(format!("{statement} returning *")))
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    match statement.split_whitespace().next() {
        _ if !stage => {}
        Some("INSERT") => tx.created(&note).unwrap(),
        Some("UPDATE") => tx.updated(&note).unwrap(),
        Some("DELETE") => tx.destroyed(&note).unwrap(),
        other => panic!("{other:?}"),
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn keys_partition_keys_and_payloads_are_those_of_the_recording() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/01a-simple-crud.json");
    let recording: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let database = migrated().await;
    let table = text(&recording["tables"], "notes").to_owned();
    sqlx::raw_sql(AssertSqlSafe(table)).execute(&database.pool).await.unwrap();
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| ns.topic("notes", |t| t.publish::<Note>()))
        .build()
        .unwrap();
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();

    let (mut inserted, mut messages) = (Vec::new(), Vec::new());
    for step in list(&recording["steps"]) {
        // `touch` and `update_columns` run a statement and publish nothing: their callers do not state a change.
        let stage = !list(&step["outbox_inserted"]).is_empty();
        for statement in list(&step["sql"]).iter().filter_map(Value::as_str) {
            if !matches!(statement, "BEGIN" | "COMMIT") {
                run(&outbox, statement, stage).await;
            }
        }
        inserted.extend_from_slice(list(&step["outbox_inserted"]));
        messages.extend_from_slice(list(&step["messages"]));
    }

    compare(&rows(&database.pool).await, &inserted, &messages);
}

fn compare(rows: &[Row], inserted: &[Value], messages: &[Value]) {
    assert_eq!((inserted.len(), messages.len()), (10, 8));
    assert_eq!(rows.len(), inserted.len());
    for (row, recorded) in rows.iter().zip(inserted) {
        assert_eq!(row.topic, text(recorded, "topic"));
        assert_eq!(row.event, text(recorded, "event_name"));
        assert_eq!(
            (row.model.as_str(), row.model_id.as_str()),
            (text(recorded, "resource_class"), text(recorded, "resource_id"))
        );
        assert_eq!(row.partition_key.as_deref(), recorded["partition_key"].as_str());
    }
    // The gem reads an instance when it publishes, and loses what was deleted meanwhile: its rows 7 and 9 gave no message. Ours carry
    // the snapshots of their transactions.
    let lost = [6, 8];
    let published: Vec<_> =
        rows.iter().enumerate().filter(|(i, _)| !lost.contains(i)).map(|(_, row)| row).collect();
    assert_eq!(published.len(), messages.len());
    for (row, message) in published.into_iter().zip(messages) {
        assert_eq!(row.topic, text(message, "topic"));
        assert_eq!(row.key, text(message, "key"));
        assert_eq!(row.partition_key.as_deref(), message["partition_key"].as_str());
        assert_eq!(row.payload, text(message, "payload"));
    }
    assert!(
        rows[6].payload.contains(r#""event":"note_updated","model_name":"Note","data":[{"id":2,"#)
    );
    assert!(rows[8].payload.contains(r#""body":"short life""#));
}
