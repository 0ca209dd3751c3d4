use std::borrow::Cow;

use dionysus_embedded::testing::Database;
use dionysus_postgres::guards;
use dionysus_postgres::replicas::{self, Rows, Table};
use serde_json::{Value, json};

use crate::support::database;

async fn table(database: &Database, ddl: &'static str) -> Table {
    sqlx::raw_sql(ddl).execute(&database.pool).await.unwrap();
    replicas::describe(&database.pool, None, "t").await.unwrap().unwrap()
}

/// Writes one row of JSON values by column name, the first being the id.
async fn write(
    database: &Database,
    table: &Table,
    row: &[(&str, &str)],
) -> Result<(), dionysus_postgres::Error> {
    let columns: Vec<usize> = row.iter().map(|(name, _)| table.column(name).unwrap()).collect();
    let values: Vec<Vec<Option<Cow<'_, str>>>> = row
        .iter()
        .zip(&columns)
        .map(|((_, json), &index)| vec![table.columns[index].text_of(json)])
        .collect();
    let mut tx = guards::begin(&database.pool).await.unwrap();
    replicas::upsert(&mut tx, table, Rows { columns, values, revive: None }).await?;
    guards::commit(tx).await
}

async fn row(database: &Database) -> Value {
    sqlx::query_scalar("select to_jsonb(t) from t").fetch_one(&database.pool).await.unwrap()
}

#[tokio::test]
async fn values_of_the_wire_become_values_of_any_type() {
    let database = database().await;
    let ddl = r#"
        create type mood as enum ('fine', 'Not so fine');
        create domain price as numeric(10, 2);
        create table t (
            id bigint primary key, "Name ""x""" text, v varchar(5), n numeric, p price, b boolean, d date, ts timestamp, tz timestamptz,
            u uuid, ids bigint[], tags text[], j jsonb, plain json, m mood, by bytea, i interval, c char(3), f double precision)"#;
    let table = table(&database, ddl).await;
    let wire = [
        ("id", r#""7""#),
        ("Name \"x\"", r#""a\u003cb \ud83d\ude00 'q' \\""#),
        ("v", r#""12345""#),
        ("n", "10000000000000000000000000"),
        ("p", r#""10.5""#),
        ("b", "true"),
        ("d", r#""2024-01-15""#),
        ("ts", r#""2024-01-15T12:00:00.123+02:00""#),
        ("tz", r#""2024-01-15T12:00:00.123+02:00""#),
        ("u", r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#),
        ("ids", "[3,null,4]"),
        ("tags", r#"["a,b","\"q\"",null,"NULL",""]"#),
        ("j", r#"{"x": [1, 2.50]}"#),
        ("plain", r#""text""#),
        ("m", r#""Not so fine""#),
        ("by", r#""\\x41""#),
        ("i", "90"),
        ("c", r#""ab ""#),
        ("f", "1.0e+15"),
    ];
    write(&database, &table, &wire).await.unwrap();
    assert_eq!(
        row(&database).await,
        json!({
            "id": 7, "Name \"x\"": "a<b 😀 'q' \\", "v": "12345", "n": serde_json::from_str::<Value>("10000000000000000000000000").unwrap(),
            "p": 10.5, "b": true, "d": "2024-01-15", "ts": "2024-01-15T10:00:00.123", "tz": "2024-01-15T10:00:00.123+00:00",
            "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ids": [3, null, 4], "tags": ["a,b", "\"q\"", null, "NULL", ""],
            "j": { "x": [1, 2.50] }, "plain": "text", "m": "Not so fine", "by": "\\x5c783431", "i": "00:01:30", "c": "ab ", "f": 1_000_000_000_000_000_i64
        })
    );
    let digits: String =
        sqlx::query_scalar("select n::text from t").fetch_one(&database.pool).await.unwrap();
    assert_eq!(digits, "10000000000000000000000000");
}

#[tokio::test]
async fn a_value_that_is_too_long_is_refused_and_not_cut() {
    let database = database().await;
    let ddl = "create domain short as varchar(3); create table t (id int primary key, v varchar(3), c char(2), d short)";
    let table = table(&database, ddl).await;
    for row in [
        [("id", "1"), ("v", r#""1234""#)],
        [("id", "1"), ("d", r#""1234""#)],
        [("id", "1"), ("c", r#""123""#)],
        [("id", "1"), ("v", r#""\u0000""#)],
    ] {
        write(&database, &table, &row).await.unwrap_err();
    }
    write(&database, &table, &[("id", "1"), ("v", r#""123""#), ("c", r#""12""#)]).await.unwrap();
}

#[tokio::test]
async fn columns_that_a_row_does_not_name_stay() {
    let database = database().await;
    let table =
        table(&database, "create table t (id int primary key, a text, b text default 'given')")
            .await;
    write(&database, &table, &[("id", "1"), ("a", r#""x""#)]).await.unwrap();
    write(&database, &table, &[("id", "1")]).await.unwrap();
    assert_eq!(row(&database).await, json!({ "id": 1, "a": "x", "b": "given" }));
    write(&database, &table, &[("id", "1"), ("a", "null"), ("b", r#""y""#)]).await.unwrap();
    assert_eq!(row(&database).await, json!({ "id": 1, "a": null, "b": "y" }));
}

#[tokio::test]
async fn timestamps_that_rails_demands_are_filled() {
    let database = database().await;
    let ddl = "create table t (id int primary key, created_at timestamp not null, updated_at timestamptz not null)";
    let table = table(&database, ddl).await;
    write(&database, &table, &[("id", "1")]).await.unwrap();
    let before: (chrono::NaiveDateTime, chrono::DateTime<chrono::Utc>) =
        sqlx::query_as("select created_at, updated_at from t")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!(before.0.and_utc(), before.1);
    write(&database, &table, &[("id", "1")]).await.unwrap();
    let after: (chrono::NaiveDateTime, chrono::DateTime<chrono::Utc>) =
        sqlx::query_as("select created_at, updated_at from t")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!(after.0, before.0);
    assert!(after.1 > before.1);
}

#[tokio::test]
async fn a_flag_turns_off_only_where_it_was_on() {
    let database = database().await;
    let table = table(&database, "create table t (id int primary key, gone boolean)").await;
    sqlx::raw_sql("insert into t values (1, true), (2, null)")
        .execute(&database.pool)
        .await
        .unwrap();
    let mut tx = guards::begin(&database.pool).await.unwrap();
    let values = vec![["1", "2", "3"].map(|id| Some(id.into())).to_vec()];
    replicas::upsert(&mut tx, &table, Rows { columns: vec![0], values, revive: Some(1) })
        .await
        .unwrap();
    guards::commit(tx).await.unwrap();
    let rows: Vec<(i32, Option<bool>)> = sqlx::query_as("select id, gone from t order by id")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert_eq!(rows, [(1, Some(false)), (2, None), (3, None)]);
}

#[tokio::test]
async fn deletes_name_what_was_there() {
    let database = database().await;
    let ddl = "create table t (id uuid primary key, at timestamp);
               insert into t values ('00000000-0000-0000-0000-000000000001', '1970-01-01 00:00:01'),
                                    ('00000000-0000-0000-0000-000000000002', null),
                                    ('00000000-0000-0000-0000-000000000003', 'infinity')";
    let table = table(&database, ddl).await;
    let ids = [3, 9, 1, 2].map(|n| format!("00000000-0000-0000-0000-00000000000{n}"));
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut tx = guards::begin(&database.pool).await.unwrap();
    let times = replicas::delete_remembering(&mut tx, &table, 0, 1, &ids).await.unwrap();
    assert_eq!(times, [None, None, Some(1_000_000), None]);
    assert_eq!(replicas::delete(&mut tx, &table, 0, &ids).await.unwrap(), 0);
}

#[tokio::test]
async fn times_are_held_against_the_rows() {
    let database = database().await;
    let ddl = "create table t (id int primary key, at timestamp);
               insert into t values (1, '2024-01-15 10:00:00'), (2, null)";
    let table = table(&database, ddl).await;
    let mut tx = guards::begin(&database.pool).await.unwrap();
    for (id, time, is_stale) in [
        ("1", "2024-01-15T10:00:00.000Z", false),
        ("1", "2024-01-15T11:00:00.000+01:00", false),
        ("1", "2024-01-15T10:59:59.999+01:00", true),
        ("1", "2024-01-15 09:59:59", true),
        ("2", "1999-01-01", false),
        ("3", "1999-01-01", false),
    ] {
        let stale =
            replicas::stale(&mut tx, &table, 0, 1, &[("3", time), (id, time)]).await.unwrap();
        assert_eq!(stale == [1], is_stale, "{id} {time}");
    }
}

#[tokio::test]
async fn a_table_is_described_as_far_as_it_matters() {
    let database = database().await;
    let ddl = r#"
        create schema "Other";
        create table "Other".t (id int, a int unique, b int, c int, d int unique deferrable, lower_e text,
                                g int generated always as (a + 1) stored, i int generated always as identity,
                                r int not null, s int not null default 0);
        create unique index on "Other".t (b) where c > 0;
        create unique index on "Other".t (b, c);
        create unique index on "Other".t (lower(lower_e));
        create unique index on "Other".t (id) include (c);
        create view "Other".v as select 1 as id;"#;
    sqlx::raw_sql(ddl).execute(&database.pool).await.unwrap();
    let table = replicas::describe(&database.pool, Some("Other"), "t").await.unwrap().unwrap();
    assert_eq!(table.replica(), "Other.t");
    let mut unique = table.unique.clone();
    unique.sort();
    assert_eq!(unique, ["a", "id"]);
    let named = |of: fn(&replicas::Column) -> bool| -> Vec<&str> {
        table
            .columns
            .iter()
            .filter(|column| of(column))
            .map(|column| column.name.as_str())
            .collect()
    };
    assert_eq!(named(|column| column.generated), ["g", "i"]);
    assert_eq!(named(|column| column.required && !column.generated), ["r"]);
    assert_eq!(table.rights_missing, [] as [String; 0]);
    for (schema, name) in
        [(None, "t"), (Some("Other"), "v"), (Some("Other"), "none"), (Some("none"), "t")]
    {
        assert_eq!(
            replicas::describe(&database.pool, schema, name).await.unwrap(),
            None,
            "{schema:?} {name}"
        );
    }
}

#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let database = database().await;
    sqlx::raw_sql("create table t (id int primary key); grant select, insert on t to public")
        .execute(&database.pool)
        .await
        .unwrap();
    // Every cluster has this role, and it may connect.
    let restricted = sqlx::postgres::PgPoolOptions::new()
        .after_connect(|conn, _| {
            Box::pin(async { sqlx::query("set role pg_monitor").execute(conn).await.map(drop) })
        })
        .connect(&database.url)
        .await
        .unwrap();
    let table = replicas::describe(&restricted, None, "t").await.unwrap().unwrap();
    assert_eq!(table.rights_missing, ["update", "delete"]);
}
