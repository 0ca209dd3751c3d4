extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "countries")]
struct Country {
    code: String,
}

#[derive(Publishable)]
#[publishable(table = "towns", primary_key = "cod")]
struct Town {
    code: String,
}

fn main() {}
