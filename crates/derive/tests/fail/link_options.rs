extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(lnk = "account")]
    account_id: i64,
    #[publishable(link = "rental", links = "rentals")]
    rental_id: i64,
    #[publishable(link)]
    owner_id: i64,
    #[publishable(link = "guest", hidden)]
    guest_id: i64,
    #[publishable(links = "fees", column = "fee_ids")]
    fee_ids: Vec<i64>,
    #[publishable(type_from = "bookable_type")]
    bookable_id: i64,
    #[publishable(attribute)]
    name: String,
    #[publishable(link = "", attribute = "yes")]
    host_id: i64,
}

fn main() {}
