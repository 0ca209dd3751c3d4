extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals")]
struct Rental {
    id: i64,
    canceled_at: i64,
}

fn main() {}
