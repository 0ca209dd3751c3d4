//! Links and parts, present, empty and null: spec §3.2, §4.2, and rules 9 and 10 of §3.8.

use chrono::{DateTime, Utc};
use dionysus_core::EventKind::{Created, Destroyed, Updated};
use dionysus_core::Part;
use dionysus_core::types::Numeric;
use dionysus_derive::Publishable;

use crate::{bytes, farewell, message};

#[derive(Publishable)]
#[publishable(table = "bookings", partition_key = "account_id", crate = "dionysus_core")]
struct Booking {
    id: i64,
    name: &'static str,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    canceled_at: Option<DateTime<Utc>>,
    price: Numeric,
    #[publishable(link = "account")]
    account_id: i64,
    #[publishable(part)]
    fees: Vec<BookingsFee>,
}

#[derive(Publishable)]
#[publishable(table = "bookings_fees", crate = "dionysus_core")]
struct BookingsFee {
    id: i64,
    name: &'static str,
    #[publishable(link = "booking")]
    booking_id: i64,
}

/// The examples of spec §3.2, bytes for bytes.
#[test]
fn an_aggregate_a_soft_delete_and_a_hard_delete_are_those_of_the_specification() {
    let time: DateTime<Utc> = "2026-11-21T03:50:46.286Z".parse().unwrap();
    let booking = Booking {
        id: 1,
        name: "x",
        created_at: time,
        updated_at: time,
        canceled_at: None,
        price: "10.50".parse().unwrap(),
        account_id: 1,
        fees: vec![BookingsFee { id: 1, name: "fee", booking_id: 1 }],
    };
    assert_eq!(
        message(Created, &booking, &["bookings_fees"]),
        bytes(
            "Booking:1",
            Some("1"),
            concat!(
                r#"{"message":[{"event":"booking_created","model_name":"Booking","data":[{"id":1,"name":"x","#,
                r#""created_at":"2026-11-21T03:50:46.286Z","updated_at":"2026-11-21T03:50:46.286Z","canceled_at":null,"price":"10.5","#,
                r#""links":{"account":1,"bookings_fees":[1]},"bookings_fees":[{"id":1,"name":"fee","links":{"booking":1}}]}]}]}"#,
            )
        )
    );
    assert_eq!(
        farewell(&booking),
        bytes(
            "Booking:1",
            Some("1"),
            r#"{"message":[{"event":"booking_destroyed","model_name":"Booking","data":[{"links":{},"id":1}]}]}"#,
        )
    );
    let canceled = Cancellation {
        id: 1,
        canceled_at: Some("2022-08-22T08:01:47Z".parse().unwrap()),
        updated_at: "2022-08-22T08:01:47Z".parse().unwrap(),
        account_id: 1,
    };
    assert_eq!(
        message(Destroyed, &canceled, &[]),
        bytes(
            "Booking:1",
            None,
            concat!(
                r#"{"message":[{"event":"booking_destroyed","model_name":"Booking","data":[{"id":1,"#,
                r#""canceled_at":"2022-08-22T08:01:47.000Z","updated_at":"2022-08-22T08:01:47.000Z","links":{"account":1}}]}]}"#,
            )
        )
    );
}

#[derive(Publishable)]
#[publishable(model = "Booking", table = "bookings", crate = "dionysus_core")]
struct Cancellation {
    id: i64,
    canceled_at: Option<DateTime<Utc>>,
    updated_at: DateTime<Utc>,
    #[publishable(link = "account")]
    account_id: i64,
}

/// A list is declared before the single links, and the parts in another order than they are asked for.
#[derive(Publishable)]
#[publishable(table = "households", partition_key = "region", crate = "dionysus_core")]
struct Household {
    id: &'static str,
    #[publishable(links = "tag<s>")]
    tag_ids: Vec<&'static str>,
    #[publishable(link = "landlord")]
    landlord_id: Option<i64>,
    #[publishable(hidden)]
    owned_type: &'static str,
    #[publishable(link = "owned", type_from = "owned_type")]
    owned_id: Option<i64>,
    #[publishable(part)]
    people: Part<Vec<Person>>,
    #[publishable(part)]
    address: Part<Option<Address>>,
    #[publishable(hidden)]
    region: Option<&'static str>,
}

#[derive(Publishable)]
#[publishable(table = "people", crate = "dionysus_core")]
struct Person {
    id: i64,
    #[publishable(link = "household")]
    household_id: Option<&'static str>,
    #[publishable(links = "children")]
    child_ids: Vec<i64>,
}

#[derive(Publishable)]
#[publishable(table = "addresses", primary_key = "code", crate = "dionysus_core")]
struct Address {
    code: &'static str,
    #[publishable(hidden)]
    household_id: &'static str,
}

#[test]
fn what_is_not_there_is_null_or_an_empty_list_in_links_and_in_parts() {
    let nobody = Household {
        id: "h",
        tag_ids: vec![],
        landlord_id: None,
        owned_type: "Rental",
        owned_id: None,
        people: Part::Loaded(vec![]),
        address: Part::Loaded(None),
        region: None,
    };
    assert_eq!(
        message(Updated, &nobody, &["people", "address"]),
        bytes(
            "Household:h",
            None,
            concat!(
                r#"{"message":[{"event":"household_updated","model_name":"Household","data":[{"id":"h","#,
                r#""links":{"landlord":null,"owned":null,"address":null,"tag\u003cs\u003e":[],"people":[]},"#,
                r#""people":[],"address":null}]}]}"#,
            )
        )
    );
    // Not asked for, the parts are left out; their links stay.
    assert_eq!(
        message(Updated, &nobody, &[]).payload,
        concat!(
            r#"{"message":[{"event":"household_updated","model_name":"Household","data":[{"id":"h","#,
            r#""links":{"landlord":null,"owned":null,"address":null,"tag\u003cs\u003e":[],"people":[]}}]}]}"#,
        )
    );
}

#[test]
fn single_links_come_before_lists_and_parts_as_they_are_asked_for_one_level_deep() {
    let person = |id, child_ids| Person { id, household_id: Some("h"), child_ids };
    let home = Household {
        id: "h",
        tag_ids: vec!["b", "a&"],
        landlord_id: Some(9),
        owned_type: "Core::Rental",
        owned_id: Some(77),
        people: Part::Loaded(vec![person(1, vec![2]), person(2, vec![])]),
        address: Part::Loaded(Some(Address { code: "PL", household_id: "h" })),
        region: Some("żółw"),
    };
    assert_eq!(
        message(Created, &home, &["address", "people"]),
        bytes(
            "Household:h",
            Some("żółw"),
            concat!(
                r#"{"message":[{"event":"household_created","model_name":"Household","data":[{"id":"h","#,
                r#""links":{"landlord":9,"owned":{"type":"Core::Rental","id":77},"address":"PL","tag\u003cs\u003e":["b","a\u0026"],"people":[1,2]},"#,
                r#""address":{"code":"PL","links":{}},"#,
                r#""people":[{"id":1,"links":{"household":"h","children":[2]}},{"id":2,"links":{"household":"h","children":[]}}]}]}]}"#,
            )
        )
    );
}
