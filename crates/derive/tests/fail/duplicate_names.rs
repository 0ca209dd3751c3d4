extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals")]
struct Rental {
    id: i64,
    name: String,
    #[publishable(rename = "name")]
    title: String,
    #[publishable(column = "name")]
    label: String,
}

fn main() {}
