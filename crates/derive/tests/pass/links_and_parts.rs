extern crate dionysus_core as dionysus;

use dionysus::{Attribute, HasPart, JsonWriter, LinkId, Part, Publishable};

#[derive(Clone, Copy, dionysus_derive::Attribute)]
struct AccountId(i64);

impl LinkId for AccountId {}

#[derive(dionysus_derive::Publishable)]
#[publishable(model = "Core::Booking", table = "bookings", partition_key = "account")]
struct Booking {
    id: i64,
    #[publishable(link = "account", attribute, rename = "account")]
    account_id: Option<AccountId>,
    r#type: Option<&'static str>,
    #[publishable(link = "owner", type_from = "type")]
    owner_id: &'static str,
    #[publishable(links = "tags", value = "Self::tags")]
    tags: (),
    #[publishable(part)]
    fees: Part<Vec<Fee>>,
    #[publishable(part = "tax_record")]
    tax: Part<Option<Tax>>,
}

impl Booking {
    fn tags(&self) -> [i64; 1] {
        [self.id]
    }
}

#[derive(dionysus_derive::Publishable)]
#[publishable(table = "fees")]
struct Fee {
    id: i64,
    #[publishable(hidden)]
    booking_id: i64,
}

#[derive(dionysus_derive::Publishable)]
#[publishable(table = "taxes", model = "TaxRecord")]
struct Tax {
    id: i64,
    #[publishable(hidden)]
    booking_id: i64,
}

fn main() {
    let mut booking = Booking {
        id: 1,
        account_id: Some(AccountId(7)),
        r#type: Some("Owner"),
        owner_id: "a",
        tags: (),
        fees: Part::NotLoaded,
        tax: None.into(),
    };
    HasPart::<Fee>::attach(&mut booking, "fees", vec![Fee { id: 2, booking_id: 1 }]);
    let mut out = JsonWriter::new();
    booking.write_snapshot_with(&["tax_record", "fees"], &mut out);
    assert_eq!(
        String::from_utf8(out.finish().unwrap()).unwrap(),
        concat!(
            r#"{"id":1,"account":7,"type":"Owner","#,
            r#""links":{"account":7,"owner":{"type":"Owner","id":"a"},"tax_record":null,"tags":[1],"fees":[2]},"#,
            r#""tax_record":null,"fees":[{"id":2,"links":{}}]}"#
        )
    );
    assert_eq!(AccountId(7).text().as_deref(), Some("7"));
}
