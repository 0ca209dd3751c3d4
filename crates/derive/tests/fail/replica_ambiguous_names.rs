extern crate dionysus_core as dionysus;

use dionysus_derive::Replica;

#[derive(Replica)]
#[replica(model = "Rental", table = "rentals")]
struct Rental {
    id: i64,
    synced_id: i64,
    created_at: i64,
}

fn main() {}
