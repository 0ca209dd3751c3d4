//! The recording `05a-observers`: bookings observe rentals and accounts, rentals observe accounts.

use chrono::NaiveDateTime;
use dionysus_derive::Publishable;
use dionysus_producer::Topology;
use sqlx::FromRow;

use super::Message::{self, Ours, Recorded};
use super::aggregates::{Booking, BookingsFee};
use super::{holds, watch};

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "accounts")]
struct Account {
    id: i64,
    name: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

#[derive(FromRow, Publishable)]
#[publishable(
    crate = "dionysus_core",
    table = "rentals",
    soft_delete = "canceled_at",
    partition_key = "account_id"
)]
struct Rental {
    id: i64,
    name: Option<String>,
    canceled_at: Option<NaiveDateTime>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    #[publishable(link = "account")]
    account_id: Option<i64>,
}

const CLEANING: &str = r#"{"id":11,"name":"cleaning","amount":"10.0","created_at":"2024-01-15T10:00:00.005Z","updated_at":"2024-01-15T10:00:00.005Z","links":{"booking":1}}"#;

fn booking(event: &str, id: u8, fee: bool) -> Message {
    let (key, account, price, at) = match id {
        1 => ("Booking:1", "7", "1.5", "10:00:00.003Z"),
        _ => ("Booking:2", "8", "2.0", "10:00:00.004Z"),
    };
    let (ids, fees) = if fee { ("11", CLEANING) } else { ("", "") };
    Ours(
        key,
        Some(account),
        format!(
            r#"{{"event":"{event}","model_name":"Booking","data":[{{"id":{id},"name":"b{id}","price":"{price}","canceled_at":null,"created_at":"2024-01-15T{at}","updated_at":"2024-01-15T{at}","links":{{"account":{account},"rental":20,"bookings_fees":[{ids}]}},"bookings_fees":[{fees}]}}]}}"#
        ),
    )
}

#[tokio::test]
async fn dependants_of_observed_changes_are_those_of_the_recording() {
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| {
            ns.topic("bookings", |t| {
                t.publish::<Booking>()
                    .with::<BookingsFee>()
                    .observe::<Rental>(["name"], "rental_id")
                    .observe::<Account>(["name", "created_at"], "account_id")
            })
            .topic("rentals", |t| t.publish::<Rental>().observe::<Account>(["name"], "account_id"))
        })
        .build()
        .unwrap();
    holds(
        "05a-observers",
        topology,
        vec![watch::<Account>(), watch::<Rental>(), watch::<Booking>(), watch::<BookingsFee>()],
        &[
            // The gem reads when it publishes, after all five transactions: it finds dependants of the account that came later (W24), and
            // its first message of the booking has the fee already. Ours are what each transaction committed.
            (
                1,
                &[
                    Recorded(2, 7),
                    booking("booking_created", 1, false),
                    Recorded(2, 5),
                    Recorded(2, 6),
                ],
            ),
            // Messages of dependants hold their parts, like any other (W15).
            (
                3,
                &[
                    Recorded(4, 2),
                    booking("booking_updated", 1, true),
                    booking("booking_updated", 2, false),
                ],
            ),
            (5, &[Recorded(6, 0)]),
            (7, &[booking("booking_updated", 1, true), Recorded(8, 1)]),
            // A destroyed account has changed whatever it had, its name too (W13): its rental follows.
            (11, &[booking("booking_updated", 1, true), Recorded(8, 1)]),
        ],
    )
    .await;
}
