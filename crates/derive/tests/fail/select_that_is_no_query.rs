extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals", select)]
struct Rental {
    id: i64,
}

#[derive(Publishable)]
#[publishable(table = "houses", select = "houses")]
struct House {
    id: i64,
}

#[derive(Publishable)]
#[publishable(table = "boats", select = "select * from boats;")]
struct Boat {
    id: i64,
}

fn main() {}
