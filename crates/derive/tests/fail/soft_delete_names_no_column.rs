extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals", soft_delete = "deleted_at")]
struct Rental {
    id: i64,
    canceled_at: Option<i64>,
}

fn main() {}
