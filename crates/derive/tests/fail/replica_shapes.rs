extern crate dionysus_core as dionysus;

use dionysus_derive::Replica;

#[derive(Replica)]
#[replica(model = "Rental", table = "rentals")]
enum Rental {
    Left,
}

#[derive(Replica)]
#[replica(model = "House", table = "houses")]
struct House<'a> {
    synced_id: &'a str,
}

fn main() {}
