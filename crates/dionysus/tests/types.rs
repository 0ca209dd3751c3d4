//! Every usual column type, read by sqlx into a typed struct, gives the bytes that the gem wrote (`08a-types.json`).
//!
//! The rows are inserted by the recording's own statements, so Postgres is what both sides read from.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use dionysus::types::{Bits, MacAddress, Network, Numeric, OrInfinity, Range, WholeNumeric, Xml};
use dionysus::{Attribute, JsonWriter, Outbox, Publishable, Schema, Topology};
use dionysus_embedded::testing;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sqlx::postgres::types::{PgInterval, PgMoney, PgPoint, PgTimeTz};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

const RECORDING: &str = include_str!("../../../tests/golden/08a-types.json");

/// A Postgres enum: its labels are those that sqlx reads.
#[derive(sqlx::Type, Attribute)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
enum Mood {
    Sad,
    Happy,
}

/// An enum of the application that is stored as a number.
#[derive(Clone, Copy, sqlx::Type, Attribute)]
#[repr(i32)]
#[publishable(rename_all = "snake_case")]
enum State {
    Draft = 0,
    Published = 1,
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
    t_enum: Option<State>,
    t_bytea: Option<Vec<u8>>,
}

/// Topic, key, partition key and payload.
type Published = (Option<String>, Option<String>, Option<String>, Option<String>);

/// The rows with a year before 0 or after 9999.
const FAR_YEARS: [i64; 2] = [18, 19];

/// Values that sqlx cannot read into a typed field: (row, columns, why).
const NOT_READ: [(i64, &[&str], &str); 1] = [(
    4,
    &["t_text_arr", "t_int_arr"],
    "sqlx reads no nested arrays; `to_jsonb(column)` into `Json<Box<RawValue>>` gives the recorded bytes",
)];

fn insert_statement(step: &Value) -> Option<&str> {
    step["sql"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .find(|sql| sql.starts_with("INSERT INTO samples"))
}

/// A database with the recording's table and rows.
async fn recorded_rows(recording: &Value) -> testing::Database {
    let database = testing::database().await;
    for table in ["moods", "samples"] {
        let statement = recording["tables"][table].as_str().unwrap().to_owned();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&database.pool).await.unwrap();
    }
    for step in recording["steps"].as_array().unwrap() {
        if let Some(statement) = insert_statement(step) {
            let statement = statement.to_owned();
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&database.pool).await.unwrap();
        }
    }
    database
}

/// The recorded snapshots, in order of their rows.
fn recorded_snapshots(recording: &Value) -> Vec<String> {
    let steps = recording["steps"].as_array().unwrap();
    let messages = steps.iter().filter_map(|step| step["messages"].as_array()).flatten();
    let snapshot = |message: &Value| {
        let payload = message["payload"].as_str().unwrap();
        let from = payload.find(r#""data":["#).unwrap() + r#""data":["#.len();
        payload[from..payload.len() - "]}]}".len()].to_owned()
    };
    messages.map(snapshot).collect()
}

fn snapshot(sample: &Sample) -> Result<String, dionysus::EncodeError> {
    let mut out = JsonWriter::new();
    sample.write_snapshot(&mut out);
    Ok(String::from_utf8(out.finish()?).unwrap())
}

#[tokio::test]
async fn every_column_type_gives_the_recorded_bytes() {
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    let database = recorded_rows(&recording).await;
    let recorded = recorded_snapshots(&recording);
    assert_eq!(recorded.len(), 21);
    for (id, recorded) in (1_i64..).zip(&recorded) {
        if NOT_READ.iter().any(|(row, ..)| *row == id) {
            continue;
        }
        let sample: Sample = sqlx::query_as("select * from samples where id = $1")
            .bind(id)
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!(snapshot(&sample).unwrap(), *recorded, "row {id}");
    }
}

/// Each recorded statement in a transaction of its own, staged as the state that it left. The recording calls the gem's publisher itself, and says `updated`.
#[tokio::test]
async fn every_recorded_row_is_published_under_the_recorded_key_with_the_recorded_bytes() {
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    let database = testing::database().await;
    dionysus::schema::migrate(&database.pool).await.unwrap();
    for table in ["moods", "samples"] {
        let statement = recording["tables"][table].as_str().unwrap().to_owned();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&database.pool).await.unwrap();
    }
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| ns.topic("samples", |topic| topic.publish::<Sample>()))
        .build()
        .unwrap();
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    let mut expected = Vec::new();
    for (id, step) in (1_i64..).zip(recording["steps"].as_array().unwrap()) {
        let mut tx = outbox.begin().await.unwrap();
        let statement = insert_statement(step).unwrap().to_owned();
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await.unwrap();
        let read = "select * from samples where id = $1 for update";
        let sample: Result<Sample, _> = sqlx::query_as(read).bind(id).fetch_one(&mut *tx).await;
        let Ok(sample) = sample else {
            assert!(NOT_READ.iter().any(|(row, ..)| *row == id), "row {id}");
            continue;
        };
        // Where the gem raises, the change is refused, and the transaction can go on.
        let staged = tx.updated(&sample);
        assert_eq!(staged.is_err(), step["raised"].is_object() || step["raised"].is_string());
        tx.commit().await.unwrap();
        for message in step["messages"].as_array().into_iter().flatten() {
            let text = |field: &str| message[field].as_str().map(str::to_owned);
            expected.push((text("topic"), text("key"), text("partition_key"), text("payload")));
        }
    }
    let published: Vec<Published> = sqlx::query_as(
        "select topic, key, partition_key, convert_from(payload, 'UTF8') from dionysus.outbox order by seq",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(published.len(), 20);
    assert_eq!(published, expected);
}

/// What the gem wrote, and so what we write, is what consumers are told.
#[test]
fn every_recorded_snapshot_is_one_of_the_schema_and_a_mutated_one_is_not() {
    let schema = Schema::snapshot_of::<Sample>(&[]).into_value();
    let draft = jsonschema::options().with_draft(jsonschema::Draft::Draft7);
    // RFC 3339 has no years before 0 and after 9999: those are no `date-time`, but have the pattern.
    let strict = draft.clone().should_validate_formats(true).build(&schema).unwrap();
    let schema_alone = draft.should_validate_formats(false).build(&schema).unwrap();
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    let mut far_years = Vec::new();
    for (id, recorded) in (1_i64..).zip(&recorded_snapshots(&recording)) {
        let snapshot: Value = serde_json::from_str(recorded).unwrap();
        if NOT_READ.iter().any(|(row, ..)| *row == id) {
            assert!(!schema_alone.is_valid(&snapshot), "row {id} has lists within lists");
            continue;
        }
        let faults: Vec<_> = schema_alone
            .iter_errors(&snapshot)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert_eq!(faults, [""; 0], "row {id}");
        if !strict.is_valid(&snapshot) {
            far_years.push(id);
        }
        for name in snapshot.as_object().unwrap().keys() {
            let mut without = snapshot.clone();
            without.as_object_mut().unwrap().remove(name);
            assert!(!schema_alone.is_valid(&without), "row {id} without {name}");
            // Any value may stand in a JSON column.
            if !["t_json", "t_jsonb"].contains(&name.as_str()) {
                let mut wrong = snapshot.clone();
                wrong[name] = json!([{ "no": "such type" }]);
                assert!(!schema_alone.is_valid(&wrong), "row {id} with a wrong {name}");
            }
        }
    }
    assert_eq!(far_years, FAR_YEARS);
}

/// A text that looks like another: what the patterns keep apart.
#[test]
fn a_schema_tells_the_forms_of_texts_apart() {
    let schema = Schema::snapshot_of::<Sample>(&[]).into_value();
    let wrong: [(&str, &[&str]); 13] = [
        ("t_num_12_2", &["10.50", "10", "1e3", "010.5", ".5"]),
        ("t_float8", &["1.0"]),
        ("t_date", &["2022-1-1", "2022-01-01T00:00:00.000Z"]),
        ("t_time", &["12:34:56.789Z", "2000-01-02T12:34:56.789Z"]),
        ("t_timetz", &["12:34:56"]),
        (
            "t_ts6",
            &[
                "2022-01-01T00:00:00Z",
                "2022-01-01T00:00:00.000000Z",
                "2022-01-01T00:00:00.000+02:00",
            ],
        ),
        ("t_uuid", &["A81F3C52-0000-4000-8000-00000000000A", "a81f3c52"]),
        ("t_inet", &["192.168.0.0/24", "localhost"]),
        ("t_mac", &["08-00-2b-01-02-03"]),
        ("t_int4range", &["[1,5)", "1.5...2.5"]),
        ("t_bit", &["0102"]),
        ("t_pg_enum", &["angry"]),
        ("t_enum", &["Draft", "0"]),
    ];
    for (column, texts) in wrong {
        let column_schema = &schema["properties"][column];
        for text in texts {
            assert!(!jsonschema::draft7::is_valid(column_schema, &json!(text)), "{column}: {text}");
        }
        assert!(jsonschema::draft7::is_valid(column_schema, &Value::Null), "{column} is an option");
    }
}

#[tokio::test]
async fn what_sqlx_cannot_read_as_a_type_it_reads_as_json() {
    type AsJson = Json<Box<RawValue>>;
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    let database = recorded_rows(&recording).await;
    let recorded = recorded_snapshots(&recording);
    for (row, not_read, why) in NOT_READ {
        let failed: Result<Sample, _> = sqlx::query_as("select * from samples where id = $1")
            .bind(row)
            .fetch_one(&database.pool)
            .await;
        assert!(failed.is_err(), "row {row} is read after all, so take it off the list: {why}");
        assert_eq!(not_read, ["t_text_arr", "t_int_arr"]);
        let columns: (AsJson, AsJson, AsJson, AsJson) = sqlx::query_as(
            "select to_jsonb(t_text_arr), to_jsonb(t_int_arr), t_json, t_jsonb from samples where id = $1",
        )
        .bind(row)
        .fetch_one(&database.pool)
        .await
        .unwrap();
        for (name, value) in [
            ("t_text_arr", &columns.0),
            ("t_int_arr", &columns.1),
            ("t_json", &columns.2),
            ("t_jsonb", &columns.3),
        ] {
            let mut out = JsonWriter::new();
            out.begin_object();
            out.attribute(name, value);
            out.end_object();
            let text = String::from_utf8(out.finish().unwrap()).unwrap();
            let snapshot = &recorded[usize::try_from(row).unwrap() - 1];
            assert!(snapshot.contains(&text[1..text.len() - 1]), "{text} in {snapshot}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused_as_the_gem_refuses_them() {
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    let database = recorded_rows(&recording).await;
    let sample: Sample = sqlx::query_as("select * from samples where id = 22")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(snapshot(&sample).unwrap_err().attribute, "t_bytea");
}

/// Values beyond the recording, whose text comes from Postgres itself.
#[tokio::test]
async fn our_types_read_what_postgres_writes() {
    let database = testing::database().await;
    for text in [
        "0",
        "0.00",
        "-0.05",
        "10000",
        "100000000.0001",
        "1e30",
        "1e-30",
        "99999999.99999999",
        "NaN",
        "Infinity",
        "-Infinity",
        "123456789012345678901234567890.123456789000",
    ] {
        let (value, written): (Numeric, String) =
            sqlx::query_as("select $1::text::numeric, $1::text::numeric::text")
                .bind(text)
                .fetch_one(&database.pool)
                .await
                .unwrap();
        assert_eq!(value.as_str(), written);
    }
    let (bits, mac, network): (Bits, MacAddress, Network) = sqlx::query_as(
        "select b'10110111001'::varbit, '08:00:2b:01:02:ff'::macaddr, '2001:db8::1/64'::inet",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(bits, Bits("10110111001".into()));
    assert_eq!(mac, MacAddress([8, 0, 0x2b, 1, 2, 0xff]));
    assert_eq!(network.text().as_deref(), Some("2001:db8::"));
    let ranges: (Range<Numeric>, Range<i64>, Range<DateTime<Utc>>) = sqlx::query_as(
        "select numrange(1.50, 2), int8range(null, 5, '(]'), tstzrange('2022-01-01 01:00+01', null)",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(ranges.0.text().as_deref(), Some("1.5...2.0"));
    assert_eq!(ranges.1.text().as_deref(), Some("-Infinity...6"));
    assert_eq!(ranges.2.text().as_deref(), Some("2022-01-01 00:00:00 UTC..."));
}

/// The simple protocol sends text.
#[tokio::test]
async fn our_types_read_the_text_form_too() {
    let database = testing::database().await;
    let row = sqlx::raw_sql(
        "select 10.50::numeric n, 7::numeric(5,0) w, '192.168.0.1/24'::inet i, '10.0.0.1'::inet h, '08:00:2b:01:02:03'::macaddr m,
            b'0101' b, '<a/>'::xml x, '-infinity'::date d, '2022-01-01'::date f, 'empty'::int4range e, int4range(1, 5) r",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    let text = |name: &str| -> Option<String> {
        use sqlx::Row as _;
        match name {
            "n" => row.get_unchecked::<Numeric, _>(name).text(),
            "w" => row.get_unchecked::<WholeNumeric, _>(name).text(),
            "i" | "h" => row.get_unchecked::<Network, _>(name).text(),
            "m" => row.get_unchecked::<MacAddress, _>(name).text(),
            "b" => row.get_unchecked::<Bits, _>(name).text(),
            "x" => row.get_unchecked::<Xml, _>(name).text(),
            "d" | "f" => row.get_unchecked::<OrInfinity<NaiveDate>, _>(name).text(),
            _ => row.get_unchecked::<Range<i32>, _>(name).text(),
        }
    };
    for (name, expected) in [
        ("n", Some("10.5")),
        ("w", Some("7")),
        ("i", Some("192.168.0.0")),
        ("h", Some("10.0.0.1")),
        ("m", Some("08:00:2b:01:02:03")),
        ("b", Some("0101")),
        ("x", Some("<a/>")),
        ("d", None),
        ("f", Some("2022-01-01")),
        ("e", None),
        ("r", Some("1...5")),
    ] {
        assert_eq!(text(name).as_deref(), expected, "{name}");
    }
}
