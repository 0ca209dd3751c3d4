extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "vehicles", base = "the vehicle")]
struct Car {
    id: i64,
}

fn main() {}
