extern crate dionysus_core as dionysus;

use dionysus_derive::Attribute;

#[derive(Attribute)]
#[publishable(rename_all = "snake-case")]
enum State {
    Draft,
    #[publishable(renam = "done")]
    Done,
    Other(String),
}

#[derive(Attribute)]
#[publishable(rename_all = "lowercase")]
enum Mood {
    Happy,
    #[publishable(rename = "happy")]
    Glad,
}

#[derive(Attribute)]
struct Point {
    x: f64,
}

#[derive(Attribute)]
struct Wrapped<T>(T);

fn main() {}
