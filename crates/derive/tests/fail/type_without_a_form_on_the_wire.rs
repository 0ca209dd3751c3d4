extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

struct Price;

#[derive(Publishable)]
#[publishable(table = "rentals")]
struct Rental {
    id: i64,
    price: Option<Price>,
}

fn main() {}
