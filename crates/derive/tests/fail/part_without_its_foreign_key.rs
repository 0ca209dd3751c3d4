extern crate dionysus_core as dionysus;

use dionysus::Part;
use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "fees", model = "Core::Fee")]
struct Fee {
    id: i64,
    #[publishable(link = "booking", column = "reservation_id")]
    booking_id: i64,
}

#[derive(Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(part)]
    fees: Part<Vec<Fee>>,
}

fn main() {}
