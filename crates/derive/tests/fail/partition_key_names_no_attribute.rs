extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals", partition_key = "acount_id")]
struct Rental {
    id: i64,
    account_id: i64,
}

#[derive(Publishable)]
#[publishable(table = "houses", partition_key = "account_id")]
struct House {
    id: i64,
    #[publishable(rename = "owner_id")]
    account_id: i64,
}

fn main() {}
