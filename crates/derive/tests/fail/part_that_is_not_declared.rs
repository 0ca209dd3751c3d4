extern crate dionysus_core as dionysus;

use dionysus::HasPart;
use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "fees")]
struct Fee {
    id: i64,
}

#[derive(Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
}

fn with<M: HasPart<P>, P: dionysus::Publishable>() {}

fn topology() {
    with::<Booking, Fee>();
}

fn main() {}
