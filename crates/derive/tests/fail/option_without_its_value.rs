extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table, partition_key = 1)]
struct Rental {
    #[publishable(id = "yes")]
    id: i64,
}

fn main() {}
