extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(model = "Core:Rental", table = "a.b.c")]
struct Rental {
    id: i64,
    #[publishable(column = "")]
    name: String,
}

fn main() {}
