extern crate dionysus_core as dionysus;

use dionysus_derive::Replica;

#[derive(Replica)]
#[replica(model = "Rental", table = "rentals")]
struct Rental {
    name: String,
}

fn main() {}
