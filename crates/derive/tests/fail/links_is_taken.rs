extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "pages")]
struct Page {
    id: i64,
    links: Vec<String>,
}

fn main() {}
