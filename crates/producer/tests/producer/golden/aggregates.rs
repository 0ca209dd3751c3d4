//! The recording `02a-aggregate`: a booking with its fees.

use chrono::NaiveDateTime;
use dionysus_core::types::Numeric;
use dionysus_derive::Publishable;
use dionysus_producer::{Part, Topology};
use sqlx::FromRow;

use super::Message::{self, Ours, Recorded};
use super::{holds, watch};

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "bookings", partition_key = "account_id")]
pub(super) struct Booking {
    id: i64,
    name: Option<String>,
    price: Option<Numeric>,
    canceled_at: Option<NaiveDateTime>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    #[publishable(link = "account")]
    account_id: Option<i64>,
    #[publishable(link = "rental")]
    rental_id: Option<i64>,
    #[sqlx(skip)]
    #[publishable(part)]
    fees: Part<Vec<BookingsFee>>,
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "bookings_fees")]
pub(super) struct BookingsFee {
    id: i64,
    name: Option<String>,
    amount: Option<Numeric>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    #[publishable(link = "booking")]
    booking_id: Option<i64>,
}

const FIRST: &str = r#""name":"b1","price":"100.5","canceled_at":null,"created_at":"2024-01-15T10:00:00.000Z","updated_at":"2024-01-15T10:00:00.000Z""#;
const SECOND: &str = r#""name":"b2","price":null,"canceled_at":null,"created_at":"2024-01-15T10:00:30.000Z","updated_at":"2024-01-15T10:00:30.000Z""#;
const AGAIN: &str = r#""name":"b2 again","price":"99.9","canceled_at":null,"created_at":"2024-01-15T10:00:30.000Z","updated_at":"2024-01-15T10:01:10.000Z""#;
const MOVED: &str = r#"{"id":11,"name":"cleaning","amount":"12.34","created_at":"2024-01-15T10:00:10.000Z","updated_at":"2024-01-15T10:00:40.000Z","links":{"booking":2}}"#;
const TAX: &str = r#"{"id":12,"name":"tax","amount":"1.1","created_at":"2024-01-15T10:00:30.001Z","updated_at":"2024-01-15T10:00:30.001Z","links":{"booking":2}}"#;
const LAST: &str = r#"{"id":11,"name":"last","amount":"12.34","created_at":"2024-01-15T10:00:10.000Z","updated_at":"2024-01-15T10:01:30.000Z","links":{"booking":2}}"#;

/// `booking_updated` of the first or the second booking.
fn updated(id: u8, attributes: &str, ids: &str, fees: &[&str]) -> Message {
    let (key, partition_key, links) = match id {
        1 => ("Booking:1", "7", r#""account":7,"rental":20"#),
        _ => ("Booking:2", "8", r#""account":8,"rental":null"#),
    };
    let fees = fees.join(",");
    Ours(
        key,
        Some(partition_key),
        format!(
            r#"{{"event":"booking_updated","model_name":"Booking","data":[{{"id":{id},{attributes},"links":{{{links},"bookings_fees":[{ids}]}},"bookings_fees":[{fees}]}}]}}"#
        ),
    )
}

#[tokio::test]
async fn an_aggregate_and_its_parts_are_those_of_the_recording() {
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| {
            ns.topic("bookings", |t| t.publish::<Booking>().with::<BookingsFee>())
        })
        .build()
        .unwrap();
    holds(
        "02a-aggregate",
        topology,
        vec![watch::<Booking>(), watch::<BookingsFee>()],
        &[
            (1, &[Recorded(2, 0)]),
            (3, &[Recorded(4, 0)]),
            (5, &[Recorded(6, 0)]),
            // Three changes of one aggregate in one transaction: one message (W36).
            (7, &[Recorded(8, 0)]),
            // A part that moves publishes its old parent too (W12).
            (9, &[updated(1, FIRST, "", &[]), Recorded(10, 0)]),
            // One that loses its parent publishes the one it had.
            (11, &[updated(2, SECOND, "11,12", &[MOVED, TAX])]),
            // One that is destroyed publishes its parent (W11).
            (13, &[updated(2, SECOND, "11", &[MOVED])]),
            (15, &[Recorded(16, 0)]),
            (17, &[Recorded(18, 0)]),
            (19, &[Recorded(20, 0)]),
            // The update was committed before the booking was destroyed; the gem reads after both.
            (21, &[updated(2, AGAIN, "11", &[LAST]), Recorded(22, 0)]),
        ],
    )
    .await;
}
