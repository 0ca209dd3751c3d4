extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "rentals", updates_after_soft_delete)]
struct Rental {
    id: i64,
}

#[derive(Publishable)]
#[publishable(table = "houses", soft_delete = false, updates_after_soft_delete)]
struct House {
    id: i64,
    canceled_at: Option<i64>,
}

#[derive(Publishable)]
#[publishable(table = "boats", updates_after_soft_delete = true)]
struct Boat {
    id: i64,
    canceled_at: Option<i64>,
}

fn main() {}
