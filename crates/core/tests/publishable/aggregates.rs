//! Links and parts of derived models, against what the gem put on the wire.

use chrono::{DateTime, Utc};
use dionysus_core::EventKind::{Created, Updated};
use dionysus_core::{
    Attribute, HasPart, JsonWriter, LinkInfo, LinkKind, Part, PartInfo, PartKey, Polymorphic,
    Publishable, Schema, SchemaOf,
};
use dionysus_derive::Publishable;
use uuid::Uuid;

use crate::support::{farewell, message, recorded};

const AGGREGATE: &str = include_str!("../../../../tests/golden/02a-aggregate.json");
const LINKS: &str = include_str!("../../../../tests/golden/02c-links-and-overrides.json");

#[derive(Clone, Publishable)]
#[publishable(table = "bookings", partition_key = "account_id", crate = "dionysus_core")]
pub(crate) struct Booking {
    id: i64,
    #[publishable(part)]
    fees: Part<Vec<BookingsFee>>,
    name: &'static str,
    price: Option<Amount>,
    canceled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[publishable(link = "account")]
    account_id: Option<i64>,
    #[publishable(link = "rental")]
    rental_id: Option<i64>,
}

#[derive(Clone, Publishable)]
#[publishable(table = "bookings_fees", crate = "dionysus_core")]
pub(crate) struct BookingsFee {
    id: i64,
    name: &'static str,
    amount: Option<Amount>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[publishable(link = "booking")]
    booking_id: Option<i64>,
}

#[derive(Clone, Copy)]
struct Amount(&'static str);

impl Attribute for Amount {
    fn write(&self, out: &mut JsonWriter) {
        out.decimal(self.0);
    }

    fn schema() -> Schema {
        Schema::decimal()
    }
}

fn at(clock: &str) -> DateTime<Utc> {
    format!("2024-01-15T{clock}Z").parse().unwrap()
}

fn fee(
    id: i64,
    name: &'static str,
    amount: Option<&'static str>,
    booking_id: i64,
    times: [&str; 2],
) -> BookingsFee {
    BookingsFee {
        id,
        name,
        amount: amount.map(Amount),
        created_at: at(times[0]),
        updated_at: at(times[1]),
        booking_id: Some(booking_id),
    }
}

/// The two bookings of the recording, before anything happened to them.
fn bookings() -> (Booking, Booking) {
    let first = Booking {
        id: 1,
        fees: Part::Loaded(vec![]),
        name: "b1",
        price: Some(Amount("100.50")),
        canceled_at: None,
        created_at: at("10:00:00"),
        updated_at: at("10:00:00"),
        account_id: Some(7),
        rental_id: Some(20),
    };
    let second = Booking {
        id: 2,
        name: "b2",
        price: None,
        created_at: at("10:00:30"),
        updated_at: at("10:00:30"),
        account_id: Some(8),
        rental_id: None,
        ..first.clone()
    };
    (first, second)
}

#[test]
fn a_derived_aggregate_gives_the_recorded_messages() {
    let (first, second) = bookings();
    let cleaning = fee(11, "cleaning", Some("10.00"), 1, ["10:00:10", "10:00:10"]);
    let dearer = fee(11, "cleaning", Some("12.34"), 1, ["10:00:10", "10:00:20"]);
    let moved = fee(11, "cleaning", Some("12.34"), 2, ["10:00:10", "10:00:40"]);
    let renamed = fee(11, "deep cleaning", Some("12.34"), 2, ["10:00:10", "10:01:10.001"]);
    let tax = fee(12, "tax", Some("1.1"), 2, ["10:00:30.001", "10:00:30.001"]);
    let linen = fee(13, "linen", None, 2, ["10:00:30.002", "10:00:30.002"]);
    let with = |booking: &Booking, fees: &[&BookingsFee]| {
        let fees = fees.iter().map(|fee| (*fee).clone()).collect::<Vec<_>>();
        Booking { fees: fees.into(), ..booking.clone() }
    };
    let changed = |name, clock| Booking {
        name,
        price: Some(Amount("99.90")),
        updated_at: at(clock),
        ..second.clone()
    };
    let history = [
        (2, Created, with(&first, &[])),
        (4, Updated, with(&first, &[&cleaning])),
        (6, Updated, with(&first, &[&dearer])),
        // The gem writes a message for each of three changes; one transaction is one message here, and this is the text of all three.
        (8, Created, with(&second, &[&tax, &linen])),
        (8, Updated, with(&second, &[&tax, &linen])),
        (8, Updated, with(&second, &[&tax, &linen])),
        (10, Updated, with(&second, &[&moved, &tax, &linen])),
        (16, Updated, with(&changed("b2 renamed", "10:01:00"), &[&moved])),
        (18, Updated, with(&changed("b2 again", "10:01:10"), &[&renamed])),
        (18, Updated, with(&changed("b2 again", "10:01:10"), &[&renamed])),
    ];
    let recorded = recorded(AGGREGATE);
    assert_eq!(recorded.len(), history.len() + 2);
    for (recorded, (step, kind, booking)) in recorded.iter().zip(&history) {
        assert_eq!(recorded.step, *step);
        let names = <Booking as HasPart<BookingsFee>>::NAMES;
        assert_eq!(message(*kind, booking, names).unwrap(), recorded.payload);
    }
    assert_eq!(recorded[10].payload, farewell(&first));
    assert_eq!(recorded[11].payload, farewell(&second));
}

#[test]
fn a_link_is_no_attribute_but_can_be_the_partition_key() {
    let (first, _) = bookings();
    assert_eq!(first.partition_key_of("account_id"), Some(Some("7".into())));
    let hidden: Vec<_> =
        Booking::ATTRIBUTES.iter().filter(|a| a.hidden).map(|a| (a.name, a.column)).collect();
    assert_eq!(hidden, [("account_id", "account_id"), ("rental_id", "rental_id")]);
}

#[test]
fn a_polymorphic_link_says_both_of_its_columns() {
    let columns = |link: &LinkInfo| (link.name, link.column, link.type_column);
    let links: Vec<_> = Owner::LINKS.iter().map(columns).collect();
    assert_eq!(
        links,
        [("bookable", Some("bookable_id"), Some("kind_of_bookable")), ("properties", None, None)]
    );
}

#[test]
fn a_model_says_its_links_and_parts() {
    let to_one = |name, column| LinkInfo {
        name,
        kind: LinkKind::ToOne,
        column: Some(column),
        type_column: None,
        schema: SchemaOf(<Option<i64> as Attribute>::schema),
    };
    let fees = LinkInfo {
        name: "bookings_fees",
        kind: LinkKind::ToMany,
        column: None,
        type_column: None,
        schema: SchemaOf(<Vec<i64> as Attribute>::schema),
    };
    assert_eq!(
        Booking::LINKS,
        [to_one("account", "account_id"), to_one("rental", "rental_id"), fees]
    );
    assert_eq!(
        Booking::PARTS,
        [PartInfo {
            name: "bookings_fees",
            model: "BookingsFee",
            table: "bookings_fees",
            primary_key: "id",
            to_many: true,
            key: PartKey::InPart("booking_id"),
            schema: SchemaOf(|| Schema::list(Schema::snapshot_of::<BookingsFee>(&[]))),
        }]
    );
}

#[test]
fn parts_that_nobody_loaded_are_refused_not_written_as_none() {
    let (first, _) = bookings();
    let error = message(Updated, &Booking { fees: Part::NotLoaded, ..first }, &[]).unwrap_err();
    assert_eq!(error.attribute, "bookings_fees");
    assert_eq!(error.reason, "its parts were not loaded");
}

#[test]
fn loaded_parts_are_attached_by_name() {
    let (mut booking, _) = bookings();
    booking.fees = Part::NotLoaded;
    let fees = vec![fee(11, "cleaning", None, 1, ["10:00:10", "10:00:10"])];
    booking.attach("charges", fees.clone());
    assert!(booking.fees.loaded().is_none());
    booking.attach("bookings_fees", fees);
    assert_eq!(booking.fees.loaded().unwrap().len(), 1);
}

/// The recording overrides attributes in its serialiser; here they are functions of the instance.
#[derive(Clone, Publishable)]
#[publishable(table = "properties", partition_key = "account_id", crate = "dionysus_core")]
pub(crate) struct Property {
    id: Uuid,
    #[publishable(rename = "title", value = "Self::marked_title")]
    title: &'static str,
    #[publishable(value = "Self::shout")]
    shout: (),
    #[publishable(value = "settings")]
    settings: (),
    #[publishable(hidden)]
    account_id: i64,
    #[publishable(link = "owner")]
    owner_id: Option<i64>,
    #[publishable(link = "bookable", value = "Self::bookable")]
    bookable: (),
    #[publishable(part)]
    owner: Part<Option<Owner>>,
    #[publishable(part)]
    photos: Part<Vec<Photo>>,
}

impl Property {
    fn marked_title(&self) -> String {
        format!("t:{}", self.title)
    }

    fn shout(&self) -> String {
        self.title.to_uppercase()
    }

    fn bookable(&self) -> Polymorphic<&'static str, Option<i64>> {
        Polymorphic { model: "Owner", id: self.owner_id }
    }
}

fn settings(_: &Property) -> serde_json::Value {
    serde_json::json!({ "b": 1, "a": { "nested": [1, null, { "x": "sym" }] } })
}

#[derive(Clone, Publishable)]
#[publishable(table = "owners", crate = "dionysus_core")]
pub(crate) struct Owner {
    id: i64,
    name: &'static str,
    #[publishable(hidden, column = "kind_of_bookable")]
    bookable_type: Option<&'static str>,
    #[publishable(link = "bookable", type_from = "bookable_type")]
    bookable_id: Option<String>,
    #[publishable(links = "properties")]
    property_ids: Vec<Uuid>,
}

#[derive(Clone, Publishable)]
#[publishable(table = "photos", crate = "dionysus_core")]
pub(crate) struct Photo {
    id: i64,
    #[publishable(value = "Self::versioned_url")]
    url: Option<&'static str>,
    #[publishable(link = "property")]
    property_id: Option<Uuid>,
}

impl Photo {
    fn versioned_url(&self) -> Option<String> {
        self.url.map(|url| format!("{url}?v=1&w=2"))
    }
}

fn property(second_url: Option<&'static str>, has_owner: bool) -> Property {
    let id: Uuid = "0b0d1a6e-1111-4222-8333-444455556666".parse().unwrap();
    let owner = Owner {
        id: 5,
        name: "Zoë",
        bookable_type: Some("Rental"),
        bookable_id: Some("77".into()),
        property_ids: vec![id],
    };
    let photo = |photo_id, url| Photo { id: photo_id, url, property_id: Some(id) };
    Property {
        id,
        title: "Château",
        shout: (),
        settings: (),
        account_id: 3,
        owner_id: has_owner.then_some(5),
        bookable: (),
        owner: has_owner.then_some(owner).into(),
        photos: vec![photo(31, Some("https://x/y")), photo(32, second_url)].into(),
    }
}

#[test]
fn overrides_and_all_kinds_of_links_give_the_recorded_messages() {
    // As `with: [Photo, Owner]`.
    let with = [<Property as HasPart<Photo>>::NAMES, <Property as HasPart<Owner>>::NAMES].concat();
    assert_eq!(with, ["photos", "owner"]);
    let history = [
        (Updated, property(None, true)),
        (Created, property(None, true)),
        (Updated, property(None, true)),
        (Updated, property(None, true)),
        (Updated, property(Some("/a b"), true)),
        (Updated, property(Some("/a b"), false)),
    ];
    let recorded = recorded(LINKS);
    assert_eq!(recorded.len(), history.len() + 1);
    for (recorded, (kind, property)) in recorded.iter().zip(&history) {
        assert_eq!(message(*kind, property, &with).unwrap(), recorded.payload);
    }
    assert_eq!(recorded[6].payload, farewell(&history[0].1));
}

#[test]
fn a_part_is_found_by_the_column_of_its_link_or_by_its_own() {
    let keys: Vec<_> = Property::PARTS.iter().map(|part| (part.name, part.key)).collect();
    assert_eq!(
        keys,
        [("owner", PartKey::InRoot("owner_id")), ("photos", PartKey::InPart("property_id"))]
    );
}

#[test]
fn without_its_parts_a_snapshot_keeps_its_links() {
    let mut out = JsonWriter::new();
    property(None, true).write_snapshot(&mut out);
    let text = String::from_utf8(out.finish().unwrap()).unwrap();
    assert!(
        text.ends_with(
            r#""links":{"owner":5,"bookable":{"type":"Owner","id":5},"photos":[31,32]}}"#
        ),
        "{text}"
    );
}

#[test]
fn a_polymorphic_link_without_id_is_null_whatever_its_type() {
    let owner = Owner {
        id: 5,
        name: "Zoë",
        bookable_type: Some("Rental"),
        bookable_id: None,
        property_ids: vec![],
    };
    let mut out = JsonWriter::new();
    owner.write_snapshot(&mut out);
    assert_eq!(
        String::from_utf8(out.finish().unwrap()).unwrap(),
        r#"{"id":5,"name":"Zoë","links":{"bookable":null,"properties":[]}}"#
    );
}

/// Spec §4.2's own example: a to-one part whose id is a string, and a list.
#[derive(Publishable)]
#[publishable(table = "roots", crate = "dionysus_core")]
struct Root {
    id: i64,
    name: &'static str,
    #[publishable(part, foreign_key = "root")]
    account: Option<Account>,
    #[publishable(part = "bookings", foreign_key = "root")]
    several: Vec<Account>,
    #[publishable(link = "owner", attribute)]
    owner_id: i64,
}

#[derive(Publishable)]
#[publishable(table = "accounts", crate = "dionysus_core")]
struct Account {
    id: &'static str,
    #[publishable(hidden)]
    root: i64,
}

#[test]
fn lists_come_last_among_links_and_two_parts_may_be_of_one_model() {
    let account = |id| Account { id, root: 1 };
    let mut root = Root {
        id: 1,
        name: "name",
        account: Some(account("2_from_account")),
        several: vec![account("3_from_booking")],
        owner_id: 9,
    };
    assert_eq!(<Root as HasPart<Account>>::NAMES, ["bookings", "account"]);
    let mut out = JsonWriter::new();
    root.write_snapshot_with(&["account", "bookings", "unknown"], &mut out);
    assert_eq!(
        String::from_utf8(out.finish().unwrap()).unwrap(),
        concat!(
            r#"{"id":1,"name":"name","owner_id":9,"links":{"owner":9,"account":"2_from_account","bookings":["3_from_booking"]},"#,
            r#""account":{"id":"2_from_account","links":{}},"bookings":[{"id":"3_from_booking","links":{}}]}"#
        )
    );
    root.attach("account", vec![]);
    root.attach("bookings", vec![]);
    let mut out = JsonWriter::new();
    root.write_snapshot_with(&["account", "bookings"], &mut out);
    assert_eq!(
        String::from_utf8(out.finish().unwrap()).unwrap(),
        r#"{"id":1,"name":"name","owner_id":9,"links":{"owner":9,"account":null,"bookings":[]},"account":null,"bookings":[]}"#
    );
}
