extern crate dionysus_core as dionysus;

use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(table = "a")]
struct Generic<T> {
    id: T,
}

#[derive(Publishable)]
#[publishable(table = "b")]
struct Tuple(i64);

#[derive(Publishable)]
#[publishable(table = "c")]
struct Unit;

#[derive(Publishable)]
#[publishable(table = "d")]
enum Either {
    Left,
}

#[derive(Publishable)]
#[publishable(table = "e")]
union Overlay {
    id: i64,
}

fn main() {}
