extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals", table = "houses")]
struct Rental {
    id: i64,
}

fn main() {}
