extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "bookings", soft_delete = "gone")]
struct Booking {
    #[publishable(id, value = "Self::number")]
    id: i64,
    #[publishable(value = "1 + 1")]
    total: (),
    #[publishable(value = "Self::name", column = "title")]
    name: (),
    #[publishable(value = "Self::gone")]
    gone: Option<i64>,
}

fn main() {}
