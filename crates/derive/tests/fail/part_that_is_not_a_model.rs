extern crate dionysus_core as dionysus;

use dionysus::Part;
use dionysus_derive::Publishable;

struct Fee;

#[derive(Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(part)]
    fees: Part<Vec<Fee>>,
}

fn main() {}
