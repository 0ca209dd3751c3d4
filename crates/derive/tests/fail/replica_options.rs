extern crate dionysus_core as dionysus;

use dionysus_derive::Replica;

#[derive(Replica)]
#[replica(tabl = "rentals")]
struct Rental {
    #[replica(form = "id")]
    synced_id: i64,
    #[replica(skip, from = "title")]
    name: String,
    #[replica(synced_data, removal_flag)]
    data: String,
}

fn main() {}
