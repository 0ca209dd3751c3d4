//! Values at the edges of their types.

use crate::models::Sample;
use crate::{Change, both, captured};

/// A column of `samples`, and texts that Postgres takes for it.
const EDGES: &[(&str, &[&str])] = &[
    ("t_time", &["24:00:00", "00:00:00.0009"]),
    ("t_timetz", &["24:00:00+00", "00:00:00-15:59:59", "12:00:00.1+05:30"]),
    ("t_date", &["-infinity", "4713-01-01 BC", "0001-12-31 BC", "262142-12-31"]),
    (
        "t_ts6",
        &[
            "0001-01-01 00:00:00 BC",
            "262142-12-31 23:59:59.999999",
            "1969-12-31 23:59:59.999999",
            "-infinity",
        ],
    ),
    ("t_tstz", &["0044-03-15 12:00:00+00 BC", "2024-03-31 02:30:00+01", "99999-01-01 00:00:00Z"]),
    (
        "t_interval",
        &[
            "-1 year 2 mons -3 days 04:05:06.789",
            "-178956970 years",
            "2147483647 days 2562047788:00:54.775807",
            "-0.000001 s",
            "1 mon -1 day",
        ],
    ),
    (
        "t_num",
        &[
            "0",
            "-0.0",
            "1e30",
            "1e-30",
            "Infinity",
            "-Infinity",
            "10000.00010",
            "99999999999999999999999999999.9",
        ],
    ),
    ("t_num_38_0", &["NaN", "-99999999999999999999999999999999999999"]),
    ("t_float4", &["-0", "1e-45", "16777216", "1e15", "9.999999e14", "-Infinity"]),
    (
        "t_float8",
        &[
            "-0",
            "2.2250738585072014e-308",
            "1e15",
            "999999999999999.9",
            "0.0001",
            "0.00009999",
            "1e22",
            "123456789012345680",
        ],
    ),
    ("t_money", &["92233720368547758.07", "-92233720368547758.08", "0", "-0.01"]),
    ("t_inet", &["::1", "::ffff:1.2.3.4/112", "2001:db8::1/33", "0.0.0.0/0", "fe80::1/10"]),
    ("t_cidr", &["::/0", "10.1.2.0/23"]),
    ("t_bit", &["1111"]),
    ("t_point", &["(NaN,Infinity)", "(-0,1e-320)", "(1e15,0.1)"]),
    ("t_int4range", &["(1,5]", "[-2147483648,2147483647)", "(,)", "[1,1]"]),
    (
        "t_tsrange",
        &["[2022-01-01 10:00:00.999999,2022-01-02]", "[0044-03-15 12:00:00 BC,)", "empty"],
    ),
    ("t_daterange", &["[0044-03-15 BC,10000-01-01)", "(,2022-01-01]"]),
    ("t_text_arr", &["{NULL,\"NULL\",\"\",\"a,b\",\"{x}\",\"\\\\\",\"\\\"\",\" \"}", "{é😀}"]),
    ("t_int_arr", &["{9223372036854775807,NULL}"]),
    ("t_num_arr", &["{NaN,0.10,1e25}"]),
    ("t_ts_arr", &["{\"0044-03-15 12:00:00 BC\",2022-01-01}"]),
    (
        "t_xml",
        &[
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><a>é</a>",
            "<?xml version=\"1.0\" standalone=\"yes\"?>\n<a/>",
            "text only",
            "",
        ],
    ),
    (
        "t_json",
        &[
            "{\"a\": 1, \"b\": 2, \"a\": {\"x\": [1e400, -0, 1E5]}}",
            " [ ] ",
            "\"\\ud83d\\ude00\"",
            "12345678901234567890123",
        ],
    ),
    ("t_jsonb", &["{\"é\": \"\\u2028\", \"n\": 1.10}", "false"]),
    ("t_bytea", &["\\x", "\\xf09f9880"]),
    ("t_char", &["", "é", "12345"]),
    ("t_string", &["\u{7f}\u{85}\u{2029}", " ", "NULL"]),
    ("t_uuid", &["{A81F3C52-0000-4000-8000-00000000000A}"]),
    ("t_mac", &["08002B010203"]),
    ("t_bool", &["f"]),
    ("t_int2", &["32767"]),
];

#[tokio::test]
async fn values_at_the_edges_of_their_types_give_one_message() {
    let (_database, outbox) = captured().await;
    let values =
        EDGES.iter().flat_map(|(column, values)| values.iter().map(move |it| (column, it)));
    for (id, (column, value)) in (1..).zip(values) {
        let value = value.replace('\'', "''");
        let insert = format!("insert into samples (id, {column}) values ({id}, '{value}')");
        both::<Sample>(&outbox, Change::Created, &insert).await;
    }
}
