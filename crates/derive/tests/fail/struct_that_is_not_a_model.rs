extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

struct Rental;

fn publish<P: dionysus::Publishable>(_: &P) {}

fn rental() {
    publish(&Rental);
}

#[derive(Publishable)]
#[publishable(table = "notes")]
struct Note {
    id: i64,
}

fn main() {}
