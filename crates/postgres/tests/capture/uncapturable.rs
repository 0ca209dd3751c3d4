use dionysus_postgres::capture;
use serde_json::{Value, json};

use super::{TABLE, TOPIC, attribute, hidden, integer, register, rental, run, with};
use crate::support::database;

const STATE_IT: &str =
    "state the events of this model in the application (`tx.changed(before, after)`)";

/// What differs from a model that can be captured, what is said of it, and what to do.
type Case = (Value, &'static str, &'static str);

fn link(kind: &str, column: &Value) -> Value {
    json!([{ "name": "fees", "kind": kind, "column": column, "type_column": null, "schema": {} }])
}

fn computed() -> Value {
    json!({ "name": "shout", "column": "", "hidden": false, "schema": {} })
}

/// More than a row of a table.
fn made_by_the_application() -> Vec<Case> {
    vec![
        (
            json!({ "columns": [attribute("id", integer()), computed()] }),
            "attribute `shout` is computed by a function",
            STATE_IT,
        ),
        (
            json!({ "links": link("to_many", &Value::Null) }),
            "link `fees` names instances of another table",
            STATE_IT,
        ),
        (json!({ "links": link("to_one", &Value::Null) }), "link `fees` is computed", STATE_IT),
        (
            json!({ "links": link("polymorphic", &json!("account_id")) }),
            "link `fees` is computed",
            STATE_IT,
        ),
        (
            json!({ "parts": [{ "name": "photos" }] }),
            "its part `photos` lives in another table",
            STATE_IT,
        ),
        (
            json!({ "select": "select * from rentals" }),
            "it is read by a query of its own",
            STATE_IT,
        ),
        (
            json!({ "base": "Vehicle" }),
            "its table also holds the other models of `Vehicle`",
            STATE_IT,
        ),
        (json!({ "source": "typed" }), "its messages are made by a function", STATE_IT),
        (
            json!({ "partition_key": { "computed": true } }),
            "its partition key is computed",
            "choose an attribute whose column",
        ),
        (
            json!({ "columns": [attribute("id", integer()), attribute("name", integer())] }),
            "attribute `name`: its type writes an integer, captured from a column of type `text` it would be a text",
            STATE_IT,
        ),
    ]
}

/// Not what the table has, or not in a form that this version reads.
fn declared_otherwise() -> Vec<Case> {
    let start_it = "start the application in this version";
    vec![
        (
            json!({ "table": "listed" }),
            "there is no table `listed`",
            "migrate the application's tables",
        ),
        (
            json!({ "soft_delete": "gone_at" }),
            "the soft-delete column is column `gone_at`, which \"public\".\"rentals\" does not have",
            "migrate the application's tables",
        ),
        (
            json!({ "primary_key": "updated_at" }),
            "the primary key `updated_at` has the type `timestamp with time zone`",
            "choose an attribute whose column",
        ),
        (
            json!({ "columns": [attribute("id", integer()), hidden("name")], "partition_key": { "attribute": "name", "integer": true } }),
            "the partition key `name` is to be made an integer, and its column is `text`",
            "take an integer column",
        ),
        (json!({ "links": null }), "it was registered by an earlier version", start_it),
        (
            json!({ "columns": [attribute("id", Value::Null)] }),
            "attribute `id` was registered by an earlier version",
            start_it,
        ),
    ]
}

#[tokio::test]
async fn what_a_trigger_cannot_capture_is_refused_with_the_reason_and_what_to_do() {
    let database = database().await;
    let pool = &database.pool;
    run(pool, TABLE).await;
    run(pool, "create view listed as select * from rentals").await;
    for (fields, reason, remedy) in
        made_by_the_application().into_iter().chain(declared_otherwise())
    {
        register(pool, json!([with(rental(), fields.clone())])).await;
        let error = capture::install(pool, TOPIC, None).await.unwrap_err();
        let expected =
            format!("topic `v3_rentals` cannot be captured by triggers: model `Rental`: {reason}");
        assert!(error.to_string().starts_with(&expected), "{fields}: {error}");
        assert!(error.remedy().unwrap().starts_with(remedy), "{fields}: {:?}", error.remedy());
    }
}

#[tokio::test]
async fn all_reasons_are_told_at_once_and_each_remedy_once() {
    let database = database().await;
    run(&database.pool, TABLE).await;
    let fields = json!({
        "columns": [attribute("id", integer()), computed()], "parts": [{ "name": "a" }, { "name": "b" }], "primary_key": "code",
    });
    register(&database.pool, json!([with(rental(), fields)])).await;
    let error = capture::install(&database.pool, TOPIC, None).await.unwrap_err();
    let said = error.to_string();
    for reason in ["`shout`", "`a`", "`b`", "the primary key is column `code`"] {
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(error.remedy().unwrap().matches(STATE_IT).count(), 1);
}
