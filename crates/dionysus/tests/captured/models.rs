//! Models with a column of every type.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use dionysus::types::{Bits, MacAddress, Network, Numeric, OrInfinity, Range, WholeNumeric, Xml};
use dionysus::{Attribute, Publishable};
use serde_json::value::RawValue;
use sqlx::FromRow;
use sqlx::postgres::types::{PgInterval, PgMoney, PgPoint, PgTimeTz};
use sqlx::types::Json;
use uuid::Uuid;

#[derive(sqlx::Type, Attribute)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
pub(crate) enum Mood {
    Sad,
    Happy,
}

#[derive(FromRow, Publishable)]
#[publishable(table = "samples", partition_key = "account_id")]
pub(crate) struct Sample {
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
pub(crate) struct Further {
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

pub(crate) const FURTHER: &str = "create table further (
    code text primary key, varbit bit varying, int8range int8range, numrange numrange, tstzrange tstzrange, bools boolean[], floats float8[],
    reals real[], uuids uuid[], dates date[], networks inet[], documents jsonb[], moods mood[], whole numeric(9,0), original varchar(20),
    account_id uuid, owner_type text, owner_id bigint, gone_at timestamptz)";
