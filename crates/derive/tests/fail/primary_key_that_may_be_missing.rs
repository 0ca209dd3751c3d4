extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals")]
struct Rental {
    id: Option<i64>,
}

#[derive(Publishable)]
#[publishable(table = "houses")]
struct House {
    #[publishable(hidden)]
    id: i64,
}

fn main() {}
