extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals")]
struct Rental {
    id: i64,
    #[publishable(renam = "title")]
    name: String,
    #[publishable(name = "title")]
    label: String,
}

fn main() {}
