extern crate dionysus_core as dionysus;

use dionysus_derive::{Publishable, Replica};

#[allow(dead_code)]
mod shadow {
    pub struct Option;
    pub struct String;
    pub struct Vec;
    pub struct Some;
    pub struct None;
}
#[allow(unused_imports)]
use shadow::*;

#[derive(Publishable)]
#[publishable(table = "notes", soft_delete = false)]
struct Note {
    id: i64,
    canceled_at: i64,
}

#[derive(Replica)]
#[replica(model = "Note", table = "notes", sideloaded_as = "notes")]
#[allow(dead_code)]
struct LocalNote {
    synced_id: i64,
    synced_data: i64,
    #[replica(removal_flag)]
    gone: bool,
    body: i64,
}

fn main() {
    let note = Note { id: 1, canceled_at: 2 };
    assert!(!dionysus::Publishable::soft_deleted(&note));
    assert_eq!(<Note as dionysus::Publishable>::SOFT_DELETE, std::option::Option::None);
    assert_eq!(<LocalNote as dionysus::Replica>::mapping().columns.len(), 1);
}
