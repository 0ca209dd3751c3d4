extern crate dionysus_core as dionysus;

use dionysus_derive::{Attribute, Publishable};

#[derive(Attribute)]
struct AccountId(i64);

#[derive(Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(link = "fee")]
    fee_ids: Vec<i64>,
    #[publishable(link = "account")]
    account_id: Option<AccountId>,
    #[publishable(links = "rentals")]
    rental_id: i64,
    #[publishable(links = "prices")]
    prices: Vec<f64>,
}

fn main() {}
