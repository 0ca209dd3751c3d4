//! One instance gives the same message whichever way it is read: by a typed struct that the application stages, or by the trigger that
//! `dionysus capture sql` generates. Each row is written once, and met in the outbox twice.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use dionysus::types::{Bits, MacAddress, Network, Numeric, OrInfinity, Range, WholeNumeric, Xml};
use dionysus::{Attribute, Outbox, Publishable, Topology};
use dionysus_core::encode_captured;
use dionysus_embedded::testing::{self, Database};
use dionysus_postgres::capture;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::postgres::types::{PgInterval, PgMoney, PgPoint, PgTimeTz};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow, PgPool};
use uuid::Uuid;

const RECORDING: &str = include_str!("../../../tests/golden/08a-types.json");

#[derive(sqlx::Type, Attribute)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
enum Mood {
    Sad,
    Happy,
}

#[derive(FromRow, Publishable)]
#[publishable(table = "samples", partition_key = "account_id")]
struct Sample {
    id: i64,
    #[publishable(hidden)]
    account_id: Option<i64>,
    t_string: Option<String>,
    t_text: Option<String>,
    t_char: Option<String>,
    t_bool: Option<bool>,
    t_int2: Option<i16>,
    t_int4: Option<i32>,
    t_int8: Option<i64>,
    t_num: Option<Numeric>,
    t_num_12_2: Option<Numeric>,
    t_num_10_0: Option<WholeNumeric>,
    t_num_38_0: Option<WholeNumeric>,
    t_float4: Option<f32>,
    t_float8: Option<f64>,
    t_date: Option<OrInfinity<NaiveDate>>,
    t_time: Option<NaiveTime>,
    t_timetz: Option<PgTimeTz<NaiveTime, FixedOffset>>,
    t_ts0: Option<NaiveDateTime>,
    t_ts6: Option<OrInfinity<NaiveDateTime>>,
    t_tstz: Option<OrInfinity<DateTime<Utc>>>,
    t_interval: Option<PgInterval>,
    t_json: Option<Json<Box<RawValue>>>,
    t_jsonb: Option<Json<Box<RawValue>>>,
    t_text_arr: Option<Vec<Option<String>>>,
    t_int_arr: Option<Vec<Option<i64>>>,
    t_num_arr: Option<Vec<Numeric>>,
    t_ts_arr: Option<Vec<NaiveDateTime>>,
    t_uuid: Option<Uuid>,
    t_inet: Option<Network>,
    t_cidr: Option<Network>,
    t_mac: Option<MacAddress>,
    t_point: Option<PgPoint>,
    t_int4range: Option<Range<i32>>,
    t_tsrange: Option<Range<NaiveDateTime>>,
    t_daterange: Option<Range<NaiveDate>>,
    t_money: Option<PgMoney>,
    t_bit: Option<Bits>,
    t_xml: Option<Xml>,
    t_pg_enum: Option<Mood>,
    t_enum: Option<i32>,
    t_bytea: Option<Vec<u8>>,
}

/// Types that the recording does not have, a key that is a text, links, a soft delete.
#[derive(FromRow, Publishable)]
#[publishable(table = "further", soft_delete = "gone_at")]
struct Further {
    #[publishable(id)]
    code: String,
    varbit: Option<Bits>,
    int8range: Option<Range<i64>>,
    numrange: Option<Range<Numeric>>,
    tstzrange: Option<Range<DateTime<Utc>>>,
    bools: Option<Vec<bool>>,
    floats: Option<Vec<f64>>,
    reals: Option<Vec<f32>>,
    uuids: Option<Vec<Uuid>>,
    dates: Option<Vec<NaiveDate>>,
    networks: Option<Vec<Network>>,
    documents: Option<Vec<Json<Box<RawValue>>>>,
    moods: Option<Vec<Mood>>,
    whole: Option<Numeric>,
    #[publishable(rename = "renamed", column = "original")]
    #[sqlx(rename = "original")]
    renamed: Option<String>,
    #[publishable(link = "account")]
    account_id: Option<Uuid>,
    #[publishable(hidden)]
    owner_type: Option<String>,
    #[publishable(link = "owner", type_from = "owner_type")]
    owner_id: Option<i64>,
    gone_at: Option<DateTime<Utc>>,
}

const FURTHER: &str = "create table further (
    code text primary key, varbit bit varying, int8range int8range, numrange numrange, tstzrange tstzrange, bools boolean[], floats float8[],
    reals real[], uuids uuid[], dates date[], networks inet[], documents jsonb[], moods mood[], whole numeric(9,0), original varchar(20),
    account_id uuid, owner_type text, owner_id bigint, gone_at timestamptz)";

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
    let mut captured: Vec<Message> = sqlx::query_as(AssertSqlSafe(format!("{columns} order by seq")))
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
        let statements = step["sql"].as_array().unwrap().iter().filter_map(Value::as_str);
        let insert = statements.filter(|sql| sql.starts_with("INSERT INTO samples")).last().unwrap();
        match step["n"].as_i64().unwrap() {
            // Arrays of arrays, which sqlx does not read: compared with what the gem wrote.
            4 => {
                run(&database.pool, insert).await;
                let capture: String = sqlx::query_scalar("select capture::text from dionysus.outbox")
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
                assert!(error.to_string().contains("attribute `t_bytea` of model `Sample`"), "{error}");
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
async fn values_at_the_edges_of_their_types_give_one_message() {
    let (_database, outbox) = captured().await;
    let edges = [
        ("t_time", &["24:00:00", "00:00:00.0009"][..]),
        ("t_timetz", &["24:00:00+00", "00:00:00-15:59:59", "12:00:00.1+05:30"]),
        ("t_date", &["-infinity", "4713-01-01 BC", "0001-12-31 BC", "262142-12-31"]),
        ("t_ts6", &["0001-01-01 00:00:00 BC", "262142-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "-infinity"]),
        ("t_tstz", &["0044-03-15 12:00:00+00 BC", "2024-03-31 02:30:00+01", "99999-01-01 00:00:00Z"]),
        ("t_interval", &["-1 year 2 mons -3 days 04:05:06.789", "-178956970 years", "2147483647 days 2562047788:00:54.775807", "-0.000001 s", "1 mon -1 day"]),
        ("t_num", &["0", "-0.0", "1e30", "1e-30", "Infinity", "-Infinity", "10000.00010", "99999999999999999999999999999.9"]),
        ("t_num_38_0", &["NaN", "-99999999999999999999999999999999999999"]),
        ("t_float4", &["-0", "1e-45", "16777216", "1e15", "9.999999e14", "-Infinity"]),
        ("t_float8", &["-0", "2.2250738585072014e-308", "1e15", "999999999999999.9", "0.0001", "0.00009999", "1e22", "123456789012345680"]),
        ("t_money", &["92233720368547758.07", "-92233720368547758.08", "0", "-0.01"]),
        ("t_inet", &["::1", "::ffff:1.2.3.4/112", "2001:db8::1/33", "0.0.0.0/0", "fe80::1/10"]),
        ("t_cidr", &["::/0", "10.1.2.0/23"]),
        ("t_bit", &["1111"]),
        ("t_point", &["(NaN,Infinity)", "(-0,1e-320)", "(1e15,0.1)"]),
        ("t_int4range", &["(1,5]", "[-2147483648,2147483647)", "(,)", "[1,1]"]),
        ("t_tsrange", &["[2022-01-01 10:00:00.999999,2022-01-02]", "[0044-03-15 12:00:00 BC,)", "empty"]),
        ("t_daterange", &["[0044-03-15 BC,10000-01-01)", "(,2022-01-01]"]),
        ("t_text_arr", &["{NULL,\"NULL\",\"\",\"a,b\",\"{x}\",\"\\\\\",\"\\\"\",\" \"}", "{é😀}"]),
        ("t_int_arr", &["{9223372036854775807,NULL}"]),
        ("t_num_arr", &["{NaN,0.10,1e25}"]),
        ("t_ts_arr", &["{\"0044-03-15 12:00:00 BC\",2022-01-01}"]),
        ("t_xml", &["<?xml version=\"1.0\" encoding=\"utf-8\"?><a>é</a>", "<?xml version=\"1.0\" standalone=\"yes\"?>\n<a/>", "text only", ""]),
        ("t_json", &["{\"a\": 1, \"b\": 2, \"a\": {\"x\": [1e400, -0, 1E5]}}", " [ ] ", "\"\\ud83d\\ude00\"", "12345678901234567890123"]),
        ("t_jsonb", &["{\"é\": \"\\u2028\", \"n\": 1.10}", "false"]),
        ("t_bytea", &["\\x", "\\xf09f9880"]),
        ("t_char", &["", "é", "12345"]),
        ("t_string", &["\u{7f}\u{85}\u{2029}", " ", "NULL"]),
        ("t_uuid", &["{A81F3C52-0000-4000-8000-00000000000A}"]),
        ("t_mac", &["08002B010203"]),
        ("t_bool", &["f"]),
        ("t_int2", &["32767"]),
    ];
    let mut id = 100;
    for (column, values) in edges {
        for value in values {
            id += 1;
            let value = value.replace('\'', "''");
            let insert = format!("insert into samples (id, {column}) values ({id}, '{value}')");
            both::<Sample>(&outbox, Change::Created, &insert).await;
        }
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
        (Change::Destroyed, "update further set gone_at = '2024-01-15 10:00:00.123999' where code = 'a'"),
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
