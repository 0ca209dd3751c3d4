extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(tabel = "rentals", flavour = "sweet")]
struct Rental {
    id: i64,
}

fn main() {}
