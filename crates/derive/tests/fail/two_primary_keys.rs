extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "countries")]
struct Country {
    #[publishable(id)]
    code: String,
    #[publishable(id)]
    number: i32,
}

#[derive(Publishable)]
#[publishable(table = "towns", primary_key = "number")]
struct Town {
    #[publishable(id)]
    code: String,
    number: i32,
}

fn main() {}
