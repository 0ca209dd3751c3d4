extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals", partition_key = "account_id")]
struct Rental {
    id: i64,
    #[publishable(skip)]
    account_id: i64,
}

fn main() {}
