extern crate dionysus_core as dionysus;

use dionysus_derive::Replica;

#[derive(Replica)]
#[replica(model = "Rental", table = "rentals")]
struct Rental {
    synced_id: i64,
    #[replica(from = "id")]
    remote_id: i64,
    name: String,
    #[replica(from = "title", column = "name")]
    title: String,
    synced_data: String,
    #[replica(synced_data)]
    rest: String,
}

fn main() {}
