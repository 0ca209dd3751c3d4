//! One instance gives the same message whichever way it is read: by a typed struct that the application stages, or by the trigger that
//! `dionysus capture sql` generates. Each row is written once, and met in the outbox twice.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod edges;
mod models;

use dionysus::{Attribute, Outbox, Publishable, Topology};
use dionysus_core::encode_captured;
use dionysus_embedded::testing::{self, Database};
use dionysus_postgres::capture;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, PgPool};

use models::{FURTHER, Further, Sample};

const RECORDING: &str = include_str!("../../../../tests/golden/08a-types.json");

async fn captured() -> (Database, Outbox) {
    let database = testing::database().await;
    dionysus::schema::migrate(&database.pool).await.unwrap();
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    for table in ["moods", "samples"] {
        run(&database.pool, recording["tables"][table].as_str().unwrap()).await;
    }
    run(&database.pool, FURTHER).await;
    let topology = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("samples", |t| t.publish::<Sample>().publish::<Further>().tombstones())
        })
        .build()
        .unwrap();
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    let sql = capture::install(&database.pool, "v3_samples", None).await.unwrap();
    assert!(!sql.contains("LOOK"), "{sql}");
    run(&database.pool, &sql).await;
    (database, outbox)
}

async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

#[derive(Clone, Copy)]
enum Change {
    Created,
    Updated,
    Destroyed,
}

/// Runs a statement that changes one row, states it, and compares what trigger and application have enqueued.
async fn both<M>(outbox: &Outbox, change: Change, statement: &str)
where
    M: Publishable + for<'r> FromRow<'r, PgRow> + Send + Sync + Unpin + 'static,
{
    let mut tx = outbox.begin().await.unwrap();
    let row: M = sqlx::query_as(AssertSqlSafe(format!("{statement} returning *")))
        .fetch_one(&mut *tx)
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
    match change {
        Change::Created => tx.created(&row).unwrap(),
        Change::Updated => tx.updated(&row).unwrap(),
        Change::Destroyed => tx.destroyed(&row).unwrap(),
    }
    tx.commit().await.unwrap();
    let (by_trigger, by_application) = messages(outbox.pool()).await;
    assert!(!by_trigger.is_empty(), "{statement}");
    assert_eq!(by_trigger, by_application, "{statement}");
}

/// Topic, key, partition key, event, model, id, and the message.
type Message = (String, String, Option<String>, String, String, String, Option<String>);

/// What the trigger enqueued and what the application did, in order; the outbox is then empty.
async fn messages(pool: &PgPool) -> (Vec<Message>, Vec<Message>) {
    let columns = "select topic, key, partition_key, event, model, model_id, coalesce(convert_from(payload, 'UTF8'), capture::text) from dionysus.outbox";
    // The trigger's rows come first: the application's are written as the transaction ends.
    let mut captured: Vec<Message> =
        sqlx::query_as(AssertSqlSafe(format!("{columns} order by seq")))
            .fetch_all(pool)
            .await
            .unwrap();
    run(pool, "truncate dionysus.outbox").await;
    let staged = captured.split_off(captured.len() / 2);
    for (.., message) in &mut captured {
        *message = message.take().map(|capture| {
            let mut message = Vec::new();
            encode_captured(&capture, &mut message).unwrap();
            String::from_utf8(message).unwrap()
        });
    }
    (captured, staged)
}

#[tokio::test]
async fn every_column_type_gives_one_message_by_struct_and_by_trigger() {
    let (database, outbox) = captured().await;
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    let mut compared = 0;
    for step in recording["steps"].as_array().unwrap() {
        let mut statements = step["sql"].as_array().unwrap().iter().filter_map(Value::as_str);
        let insert = statements.rfind(|sql| sql.starts_with("INSERT INTO samples")).unwrap();
        match step["n"].as_i64().unwrap() {
            // Arrays of arrays, which sqlx does not read: compared with what the gem wrote.
            4 => {
                run(&database.pool, insert).await;
                let capture: String =
                    sqlx::query_scalar("select capture::text from dionysus.outbox")
                        .fetch_one(&database.pool)
                        .await
                        .unwrap();
                run(&database.pool, "truncate dionysus.outbox").await;
                let mut message = Vec::new();
                encode_captured(&capture, &mut message).unwrap();
                let recorded = step["messages"][0]["payload"].as_str().unwrap();
                let message = String::from_utf8(message).unwrap();
                assert_eq!(message, recorded.replace("sample_updated", "sample_created"));
            }
            // Bytes that are no text: refused by struct and trigger.
            22 => {
                let sql = AssertSqlSafe(insert.to_owned());
                let error = sqlx::raw_sql(sql).execute(&database.pool).await.unwrap_err();
                assert!(
                    error.to_string().contains("attribute `t_bytea` of model `Sample`"),
                    "{error}"
                );
            }
            row => {
                both::<Sample>(&outbox, Change::Created, insert).await;
                let update = format!("update samples set t_text = 'changed <b>' where id = {row}");
                both::<Sample>(&outbox, Change::Updated, &update).await;
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 20);
    for row in (1..=21).filter(|row| *row != 4) {
        let delete = format!("delete from samples where id = {row}");
        both::<Sample>(&outbox, Change::Destroyed, &delete).await;
    }
}

#[tokio::test]
async fn links_texts_as_keys_and_further_types_give_one_message() {
    let (_database, outbox) = captured().await;
    for values in [
        "('PL/ł \"x\"')",
        "('a', '10110111001', '[1,)', '[1.50,2]', '[2022-01-01 01:00+01,2022-01-01 02:00:00.5+01)', '{t,f}', '{0.1,NaN,1e20}', '{0.1,-0}',
          '{a81f3c52-0000-4000-8000-00000000000a}', '{0044-03-15 BC,10000-01-01}', '{10.0.0.1/8,::1}', array['{\"b\": 1.0, \"a\": [null]}'::jsonb],
          '{happy,sad}', 77, 'ren\\amed', 'a81f3c52-0000-4000-8000-00000000000a', 'Core::Rental', 7, null)",
        "('b', '', 'empty', '(,)', '(,)', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', 'NaN', '', null, 'Core::Rental', null, '2024-01-01')",
    ] {
        both::<Further>(&outbox, Change::Created, &format!("insert into further values {values}")).await;
    }
    for (change, statement) in [
        (Change::Updated, "update further set owner_id = 8 where code = 'a'"),
        (
            Change::Destroyed,
            "update further set gone_at = '2024-01-15 10:00:00.123999' where code = 'a'",
        ),
        (Change::Created, "update further set gone_at = null where code = 'a'"),
        (Change::Destroyed, "delete from further where code = 'a'"),
    ] {
        both::<Further>(&outbox, change, statement).await;
    }
}

/// Rows that Postgres draws, the same in each run.
#[tokio::test]
async fn a_thousand_drawn_rows_give_one_message_each() {
    const DRAWN: &str = "insert into samples (id, t_text, t_float8, t_float4, t_num, t_ts6, t_interval, t_money, t_daterange, t_num_arr, t_jsonb)
        select i, chr(1 + (random() * 1100000)::int % 55000) || chr(57344 + (random() * 8000)::int),
            (random() - 0.5) * 10 ^ (random() * 600 - 300), ((random() - 0.5) * 10 ^ (random() * 70 - 35))::real,
            round((random() - 0.5)::numeric * 10::numeric ^ (random() * 30)::int, (random() * 20)::int),
            timestamp '0001-01-01' + random() * interval '9998 years',
            make_interval((random() * 200 - 100)::int, (random() * 24 - 12)::int, 0, (random() * 800 - 400)::int, 0, 0, random() * 1e6 - 5e5),
            (random() * 1e9)::numeric::money, daterange('2000-01-01', date '2000-01-01' + (random() * 5000)::int, '[]'),
            array[random()::numeric(6,3), round(random()::numeric * 1000)], to_jsonb(array[random(), random() * 1e18, 1])
        from generate_series(1, 1000) i returning *";
    let (_database, outbox) = captured().await;
    let mut tx = outbox.begin().await.unwrap();
    sqlx::query("select setseed(0.42)").execute(&mut *tx).await.unwrap();
    let rows: Vec<Sample> = sqlx::query_as(DRAWN).fetch_all(&mut *tx).await.unwrap();
    tx.created_all(&rows).unwrap();
    tx.commit().await.unwrap();
    let (by_trigger, by_application) = messages(outbox.pool()).await;
    assert_eq!(by_trigger.len(), 1000);
    for (trigger, application) in by_trigger.iter().zip(&by_application) {
        assert_eq!(trigger, application);
    }
}

#[derive(sqlx::Type, Attribute)]
#[repr(i32)]
enum State {
    Draft = 0,
    Published = 1,
}

#[derive(Publishable)]
#[publishable(table = "samples")]
struct Labelled {
    id: i64,
    t_enum: Option<State>,
}

/// In the recording `t_enum` is an enum of the application, stored as a number.
#[tokio::test]
async fn labels_that_only_the_application_knows_are_not_captured() {
    let (database, _outbox) = captured().await;
    let topology = Topology::builder()
        .namespace("v4", |ns| ns.topic("samples", |t| t.publish::<Labelled>()))
        .build()
        .unwrap();
    Outbox::connect(database.pool.clone(), topology).await.unwrap();
    let error = capture::install(&database.pool, "v4_samples", None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic `v4_samples` cannot be captured by triggers: model `Labelled`: attribute `t_enum`: its type writes a label of its own, \
         captured from a column of type `integer` it would be an integer"
    );
    let written = [State::Draft, State::Published].map(|state| state.text());
    assert_eq!(written, [Some("Draft".to_owned()), Some("Published".to_owned())]);
}
