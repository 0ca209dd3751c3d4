use dionysus_postgres::{Error, capture};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{
    TABLE, TOPIC, attribute, captured, decimal, events, install, integer, register, rental, rows,
    run, text, with,
};
use crate::support::database;

/// The whole of it, for people to read.
#[tokio::test]
async fn the_statements_are_those_that_a_person_has_reviewed() {
    let database = captured(TABLE, rental()).await;
    let sql = capture::install(&database.pool, TOPIC, Some("Rental")).await.unwrap();
    let kept = include_str!("rentals.sql");
    assert!(sql == kept, "rentals.sql is not what is generated; it would be\n{sql}");
}

#[tokio::test]
async fn installing_again_replaces_and_removing_leaves_nothing() {
    let database = captured(TABLE, rental()).await;
    let pool = &database.pool;
    install(pool).await;
    run(pool, "insert into rentals (id) values (1)").await;
    assert_eq!(events(pool).await.len(), 1);
    let sql = capture::remove(pool, TOPIC, None).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(pool).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    run(pool, "insert into rentals (id) values (2)").await;
    assert_eq!(events(pool).await, [""; 0]);
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from pg_trigger where tgrelid = 'rentals'::regclass and not tgisinternal)
              + (select count(*) from pg_proc where pronamespace = 'dionysus'::regnamespace)",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_model_that_is_no_longer_registered_can_be_removed_by_its_name() {
    let database = captured(TABLE, rental()).await;
    let pool = &database.pool;
    register(pool, json!([])).await;
    let sql = capture::remove(pool, TOPIC, Some("Rental")).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    run(pool, "insert into rentals (id) values (1)").await;
    assert_eq!(events(pool).await, [""; 0]);
}

#[tokio::test]
async fn types_are_followed_to_what_they_are_made_of() {
    let table = "create type mood as enum ('sad', 'happy');
        create domain amount as numeric(10,0); create domain prices as amount[]; create domain code as character(4); create domain title as code;
        create table rentals (id bigint primary key, amount amount, prices prices, title title, moods mood[], odd box[], vector int2vector, doubled int generated always as (id * 2) stored)";
    let columns = json!([
        attribute("id", integer()),
        attribute("amount", integer()),
        attribute("prices", json!({ "type": "array", "items": decimal() })),
        attribute("title", text()),
        attribute(
            "moods",
            json!({ "type": "array", "items": { "type": "string", "enum": ["happy", "sad"] } })
        ),
        attribute("odd", json!({})),
        attribute("vector", text()),
        attribute("doubled", integer()),
    ]);
    let model =
        with(rental(), json!({ "columns": columns, "soft_delete": null, "partition_key": null }));
    let database = captured(table, model).await;
    run(
        &database.pool,
        "insert into rentals values (1, 7, '{1.5,2}', 'ab', '{happy,NULL}', '{(1,1),(0,0);(2,2),(1,1)}', '1 2', default)",
    )
    .await;
    assert_eq!(
        rows(&database.pool).await,
        [concat!(
            r#"Rental:1 rental_created - {"id":1,"amount":7,"prices":["2.0","2.0"],"title":"ab  ","moods":["happy",null],"#,
            r#""odd":["(1,1),(0,0)","(2,2),(1,1)"],"vector":"1 2","doubled":2,"links":{}}"#
        )]
    );
}

#[tokio::test]
async fn the_applications_type_decides_how_a_number_is_written() {
    let columns = json!([
        attribute("id", integer()),
        attribute("whole", decimal()),
        attribute("loose", integer())
    ]);
    let model =
        with(rental(), json!({ "columns": columns, "soft_delete": null, "partition_key": null }));
    let table = "create table rentals (id bigint primary key, whole numeric(10,0), loose numeric)";
    let database = captured(table, model).await;
    run(&database.pool, "insert into rentals values (1, 77, 12345678901234567890)").await;
    assert_eq!(
        rows(&database.pool).await,
        [
            r#"Rental:1 rental_created - {"id":1,"whole":"77.0","loose":12345678901234567890,"links":{}}"#
        ]
    );
}

#[tokio::test]
async fn names_of_all_kinds_stay_within_their_quotes() {
    let (column, name) = ("we\"ird; --\n", "at'tri\\bute\n$capture$");
    let model = with(
        rental(),
        json!({
            "table": "odd \"schema.ta'ble\n--", "soft_delete": null, "partition_key": null,
            "columns": [attribute("id", integer()), { "name": name, "column": column, "hidden": false, "schema": {} }],
        }),
    );
    let table = "create schema \"odd \"\"schema\"; create table \"odd \"\"schema\".\"ta'ble\n--\" (id bigint primary key, \"we\"\"ird; --\n\" text)";
    let database = captured(table, model).await;
    run(&database.pool, "insert into \"odd \"\"schema\".\"ta'ble\n--\" values (1, 'x')").await;
    assert_eq!(
        rows(&database.pool).await,
        [r#"Rental:1 rental_created - {"id":1,"at'tri\\bute\n$capture$":"x","links":{}}"#]
    );
}

#[tokio::test]
async fn a_table_may_have_more_columns_than_a_function_takes_arguments() {
    let names: Vec<String> = (0..300).map(|i| format!("c{i}")).collect();
    let columns: Vec<Value> = [attribute("id", integer())]
        .into_iter()
        .chain(names.iter().map(|name| attribute(name, text())))
        .collect();
    let model =
        with(rental(), json!({ "columns": columns, "soft_delete": null, "partition_key": null }));
    let definitions: Vec<String> = names.iter().map(|name| format!("{name} text")).collect();
    let table = format!("create table rentals (id bigint primary key, {})", definitions.join(", "));
    let database = captured(Box::leak(table.into_boxed_str()), model).await;
    run(
        &database.pool,
        "insert into rentals (id, c299) values (1, 'last'); update rentals set c0 = 'first'",
    )
    .await;
    let rows = rows(&database.pool).await;
    assert!(
        rows[1].contains(r#""c0":"first","c1":null"#) && rows[1].contains(r#""c299":"last","#),
        "{}",
        rows[1]
    );
}

#[tokio::test]
async fn rows_of_partitions_are_captured_and_their_moves_are_told() {
    let table = "create table rentals (id bigint, account_id bigint, name text, price numeric, secret text, updated_at timestamptz, canceled_at timestamptz) partition by list (id);
        create table rentals_1 partition of rentals for values in (1, 2); create table rentals_2 partition of rentals default";
    let database = captured(table, rental()).await;
    let sql = capture::install(&database.pool, TOPIC, None).await.unwrap();
    assert!(sql.contains("\n-- LOOK: an update that moves a row"), "{sql}");
    run(&database.pool, "insert into rentals (id) values (1); update rentals set name = 'x'; update rentals set id = 3").await;
    assert_eq!(
        events(&database.pool).await,
        [
            "Rental:1 rental_created",
            "Rental:1 rental_updated",
            "Rental:1 rental_destroyed",
            "Rental:3 rental_created"
        ]
    );
}

#[tokio::test]
async fn a_type_that_does_not_say_what_it_writes_is_left_for_a_person_to_look_at() {
    let columns = json!([
        attribute("id", integer()),
        attribute("name", json!({ "type": "string", "enum": ["a"] })),
        attribute("price", json!({}))
    ]);
    let model =
        with(rental(), json!({ "columns": columns, "soft_delete": null, "partition_key": null }));
    let database = captured(TABLE, model).await;
    let sql = capture::install(&database.pool, TOPIC, None).await.unwrap();
    for note in [
        "-- LOOK: attribute `name`: its type writes labels; captured it is the column's text, whatever that is\n",
        "-- LOOK: attribute `price`: its type does not say what it writes; captured it is a decimal\n",
    ] {
        assert!(sql.contains(note), "{sql}");
    }
}

#[tokio::test]
async fn a_model_can_be_captured_alone() {
    let database = database().await;
    let pool = &database.pool;
    run(pool, TABLE).await;
    let aggregate = with(rental(), json!({ "model": "Booking", "parts": [{ "name": "fees" }] }));
    register(pool, json!([aggregate, rental()])).await;
    let refused = capture::install(pool, TOPIC, None).await.unwrap_err().to_string();
    assert!(
        refused.contains("model `Booking`") && !refused.contains("model `Rental`"),
        "{refused}"
    );
    let sql = capture::install(pool, TOPIC, Some("Rental")).await.unwrap();
    assert!(sql.contains("-- Model Rental\n") && !sql.contains("Booking"), "{sql}");
}

#[tokio::test]
async fn what_is_not_registered_is_said() {
    let database = database().await;
    let pool = &database.pool;
    let unknown = capture::install(pool, TOPIC, None).await.unwrap_err();
    assert!(matches!(unknown, Error::TopicNotRegistered { .. }), "{unknown}");
    assert!(matches!(
        capture::remove(pool, TOPIC, None).await,
        Err(Error::TopicNotRegistered { .. })
    ));
    register(pool, json!([rental()])).await;
    let unknown = capture::install(pool, TOPIC, Some("Villa")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "topic `v3_rentals` does not publish the model `Villa`");
    super::register_with(pool, json!({ "format": 1 })).await;
    let unknown = capture::install(pool, TOPIC, None).await.unwrap_err();
    assert!(
        matches!(unknown, Error::Registration { .. }) && unknown.remedy().is_some(),
        "{unknown}"
    );
}
