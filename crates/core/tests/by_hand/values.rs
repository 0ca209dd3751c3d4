//! Values of attributes: rules 2 to 8 of spec §3.8.

use std::ops::Bound;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use dionysus_core::types::{Network, Numeric, OrInfinity, Range, WholeNumeric};
use dionysus_core::{EventKind, JsonWriter, Publishable};
use dionysus_derive::{Attribute, Publishable};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{bytes, message, snapshot};

#[derive(Publishable)]
#[publishable(table = "pages", primary_key = "path", crate = "dionysus_core")]
struct Page {
    path: &'static str,
    #[publishable(rename = "<title> & more")]
    title: &'static str,
    settings: Box<RawValue>,
}

#[test]
fn markup_quotes_controls_and_separators_are_escaped_in_keys_and_values_and_nowhere_else() {
    let page = Page {
        path: "a<b>/\"c\"",
        title: "\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}\u{a0}\\ \u{2028}\u{2029} żółw 日本 😀",
        settings: serde_json::from_str(r#"{"<k>&\u2028":"</script>\u00e9\/"}"#).unwrap(),
    };
    assert_eq!(
        message(EventKind::Created, &page, &[]),
        bytes(
            "Page:a<b>/\"c\"",
            None,
            concat!(
                r#"{"message":[{"event":"page_created","model_name":"Page","data":[{"#,
                r#""path":"a\u003cb\u003e/\"c\"","#,
                r#""\u003ctitle\u003e \u0026 more":"\b\t\n\f\r\u0001\u001f"#,
                "\u{7f}\u{a0}",
                r#"\\ \u2028\u2029 żółw 日本 😀","#,
                r#""settings":{"\u003ck\u003e\u0026\u2028":"\u003c/script\u003eé/"},"links":{}}]}]}"#,
            )
        )
    );
}

#[derive(Publishable)]
#[publishable(table = "ledgers", partition_key = "account", crate = "dionysus_core")]
struct Ledger {
    id: i64,
    #[publishable(hidden)]
    account: Numeric,
    amounts: Vec<Numeric>,
    counts: Vec<WholeNumeric>,
    not_a_number: Option<Numeric>,
    smallest: i64,
}

#[test]
fn decimals_are_strings_with_a_fraction_and_whole_numerics_integers_of_any_size() {
    let decimals = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let wholes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let ledger = Ledger {
        id: i64::MAX,
        account: "12.70".parse().unwrap(),
        amounts: decimals(&["0", "-0.00", "100", "10.50", "1e25", "0.000000000000000010"]),
        counts: wholes(&["0", "-1", "12345678901234567890123456789012345678901234567890"]),
        not_a_number: Some("NaN".parse().unwrap()),
        smallest: i64::MIN,
    };
    assert_eq!(
        message(EventKind::Updated, &ledger, &[]),
        bytes(
            "Ledger:9223372036854775807",
            Some("12.7"),
            concat!(
                r#"{"message":[{"event":"ledger_updated","model_name":"Ledger","data":[{"id":9223372036854775807,"#,
                r#""amounts":["0.0","0.0","100.0","10.5","10000000000000000000000000.0","0.00000000000000001"],"#,
                r#""counts":[0,-1,12345678901234567890123456789012345678901234567890],"#,
                r#""not_a_number":null,"smallest":-9223372036854775808,"links":{}}]}]}"#,
            )
        )
    );
}

#[derive(Publishable)]
#[publishable(table = "readings", crate = "dionysus_core")]
struct Reading {
    id: i64,
    doubles: Vec<f64>,
    reals: Vec<f32>,
}

#[test]
fn floats_are_rubys_text_with_a_signed_zero_and_null_for_what_is_no_number() {
    let reading = Reading {
        id: 1,
        doubles: vec![
            0.0,
            -0.0,
            1.0,
            0.0001,
            0.00001,
            100_000_000_000_000.0,
            1e15,
            -2.5e-10,
            1e100,
            5e-324,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ],
        reals: vec![0.1, -0.0, 16_777_216.0, f32::NAN],
    };
    assert_eq!(
        snapshot(&reading),
        concat!(
            r#"{"id":1,"doubles":[0.0,-0.0,1.0,0.0001,1.0e-05,100000000000000.0,1.0e+15,-2.5e-10,1.0e+100,5.0e-324,null,null,null],"#,
            r#""reals":[0.1,-0.0,16777216.0,null],"links":{}}"#,
        )
    );
}

#[derive(Publishable)]
#[publishable(table = "epochs", partition_key = "at", crate = "dionysus_core")]
struct Epoch {
    id: i64,
    at: DateTime<Utc>,
    local: DateTime<FixedOffset>,
    without_zone: NaiveDateTime,
    far: OrInfinity<NaiveDateTime>,
    never: OrInfinity<NaiveDate>,
    missing: Option<DateTime<Utc>>,
    days: Vec<NaiveDate>,
    clock: NaiveTime,
}

#[test]
fn times_are_cut_to_milliseconds_in_utc_and_years_have_four_digits_or_more() {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
    let epoch = Epoch {
        id: 1,
        at: "1969-12-31T23:59:59.999999Z".parse().unwrap(),
        local: "2022-08-22T00:30:00.0009+02:00".parse().unwrap(),
        without_zone: day(-43, 3, 15).and_hms_opt(12, 0, 0).unwrap(),
        far: OrInfinity::Finite(day(10_000, 1, 1).and_hms_milli_opt(0, 0, 0, 7).unwrap()),
        never: OrInfinity::NegativeInfinity,
        missing: None,
        days: vec![day(1, 1, 1), day(0, 12, 31), day(-43, 3, 15), day(10_000, 1, 1)],
        clock: NaiveTime::from_hms_micro_opt(12, 34, 56, 789_999).unwrap(),
    };
    assert_eq!(
        message(EventKind::Created, &epoch, &[]),
        bytes(
            "Epoch:1",
            Some("1969-12-31T23:59:59.999Z"),
            concat!(
                r#"{"message":[{"event":"epoch_created","model_name":"Epoch","data":[{"id":1,"at":"1969-12-31T23:59:59.999Z","#,
                r#""local":"2022-08-21T22:30:00.000Z","without_zone":"-0043-03-15T12:00:00.000Z","#,
                r#""far":"10000-01-01T00:00:00.007Z","never":null,"missing":null,"#,
                r#""days":["0001-01-01","0000-12-31","-0043-03-15","10000-01-01"],"#,
                r#""clock":"2000-01-01T12:34:56.789Z","links":{}}]}]}"#,
            )
        )
    );
}

#[derive(Attribute)]
#[publishable(rename_all = "snake_case", crate = "dionysus_core")]
enum Mood {
    OnTop,
    #[publishable(rename = "it's <fine>")]
    Fine,
}

#[derive(Publishable)]
#[publishable(table = "odds", partition_key = "code", crate = "dionysus_core")]
struct Odd {
    id: Uuid,
    code: &'static str,
    moods: Vec<Option<Mood>>,
    words: Vec<Vec<&'static str>>,
    bytes: Vec<u8>,
    yes: bool,
    network: Network,
    closed: Range<i64>,
    open: Range<i64>,
    nothing: Range<i64>,
}

#[test]
fn labels_padding_bytes_networks_and_ranges_are_as_ruby_has_them() {
    let odd = Odd {
        id: "A81F3C52-0000-4000-8000-00000000000A".parse().unwrap(),
        code: "ab   ",
        moods: vec![Some(Mood::OnTop), Some(Mood::Fine), None],
        words: vec![vec!["a", ""], vec![]],
        bytes: "ó&".as_bytes().to_vec(),
        yes: true,
        network: Network { address: [10, 1, 2, 3].into(), prefix: 8 },
        closed: Range::Between(Bound::Included(1), Bound::Included(5)),
        open: Range::Between(Bound::Included(3), Bound::Unbounded),
        nothing: Range::Empty,
    };
    assert_eq!(
        message(EventKind::Created, &odd, &[]),
        bytes(
            "Odd:a81f3c52-0000-4000-8000-00000000000a",
            Some("ab   "),
            concat!(
                r#"{"message":[{"event":"odd_created","model_name":"Odd","data":[{"id":"a81f3c52-0000-4000-8000-00000000000a","#,
                r#""code":"ab   ","moods":["on_top","it's \u003cfine\u003e",null],"words":[["a",""],[]],"bytes":"ó\u0026","yes":true,"#,
                r#""network":"10.0.0.0","closed":"1..5","open":"3...Infinity","nothing":null,"links":{}}]}]}"#,
            )
        )
    );
    let mut out = JsonWriter::new();
    Odd { bytes: vec![0xc3], ..odd }.write_snapshot(&mut out);
    assert_eq!(out.finish().unwrap_err().attribute, "bytes", "the gem raises too");
}

#[derive(Publishable)]
#[publishable(table = "documents", crate = "dionysus_core")]
struct Document {
    id: i64,
    body: Box<RawValue>,
    empty: Option<Box<RawValue>>,
}

#[test]
fn documents_keep_their_order_and_are_emitted_again_by_our_rules_at_every_depth() {
    let body = concat!(
        r#" { "z" : [ 2.50, 1e3, 1.0, -0.0, 12345678901234567890123, {} , [] ], "#,
        r#""a" : { "deep" : [ { "b" : null, "a" : [ true, "x>y", 1E-7 ] } ] }, "z2" : "\u00fc" } "#,
    );
    let document = Document { id: 1, body: serde_json::from_str(body).unwrap(), empty: None };
    assert_eq!(
        snapshot(&document),
        concat!(
            r#"{"id":1,"body":{"z":[2.5,1000.0,1.0,-0.0,12345678901234567890123,{},[]],"#,
            r#""a":{"deep":[{"b":null,"a":[true,"x\u003ey",1.0e-07]}]},"z2":"ü"},"empty":null,"links":{}}"#,
        )
    );
}
