extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals")]
struct Rental {
    id: i64,
    #[publishable(skip, rename = "title")]
    name: String,
    #[publishable(hidden, rename = "account")]
    account_id: i64,
}

fn main() {}
