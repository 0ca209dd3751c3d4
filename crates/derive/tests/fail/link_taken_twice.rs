extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(link = "account")]
    account_id: i64,
    #[publishable(link = "account")]
    owner_id: i64,
    #[publishable(links = "account")]
    fee_ids: Vec<i64>,
}

fn main() {}
