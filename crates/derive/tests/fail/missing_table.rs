extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
struct Rental {
    id: i64,
}

fn main() {}
