extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "owners")]
struct Owner {
    id: i64,
    #[publishable(hidden)]
    bookable_type: String,
    #[publishable(link = "bookable", type_from = "bookable_typ")]
    bookable_id: i64,
}

fn main() {}
