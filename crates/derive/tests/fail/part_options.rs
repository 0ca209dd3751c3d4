extern crate dionysus_core as dionysus;

use dionysus::Part;
use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "fees")]
struct Fee {
    id: i64,
    #[publishable(link = "booking")]
    booking_id: i64,
}

#[derive(Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(part, hidden)]
    fees: Part<Vec<Fee>>,
    #[publishable(part)]
    fee: Fee,
    #[publishable(part = "links")]
    charges: Vec<Fee>,
    #[publishable(foreign_key = "booking_id")]
    name: String,
    title: String,
    #[publishable(part = "title")]
    titles: Option<Fee>,
    #[publishable(part = "taxes")]
    taxes: Vec<Fee>,
    #[publishable(link = "taxes")]
    tax_id: i64,
    #[publishable(part = "taxes")]
    more_taxes: Part<Vec<Fee>>,
}

fn main() {}
