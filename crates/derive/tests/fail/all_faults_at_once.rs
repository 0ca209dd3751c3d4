extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals", partition_key = "account", soft_delete = "gone", crate = "not a path")]
struct Rental {
    code: String,
    #[publishable(colum = "title")]
    name: String,
}

fn main() {}
