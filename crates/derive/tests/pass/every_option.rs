extern crate dionysus_core as dionysus;

use chrono::{DateTime, NaiveDate, Utc};
use dionysus::Publishable as _;
use dionysus_derive::Publishable;

#[derive(Publishable)]
#[publishable(
    model = "Core::Rental",
    table = "core.rentals",
    primary_key = "rental_id",
    partition_key = "owner",
    soft_delete = "gone_since",
    updates_after_soft_delete,
    select = "select r.*, array(select tag from tags t where t.rental_id = r.rental_id) as tags from core.rentals r"
)]
struct Rental {
    #[publishable(column = "rental_id")]
    id: i64,
    #[publishable(rename = "owner", column = "account_id")]
    account: Option<String>,
    r#type: String,
    from: Option<NaiveDate>,
    tags: Vec<Option<String>>,
    #[publishable(hidden)]
    gone_since: Option<DateTime<Utc>>,
    #[publishable(skip)]
    cache: std::cell::Cell<u8>,
}

#[derive(Publishable)]
#[publishable(table = "notes")]
struct Note {
    id: i64,
}

fn main() {
    let rental = Rental {
        id: 1,
        account: None,
        r#type: "house".into(),
        from: None,
        tags: vec![Some("<new>".into()), None],
        gone_since: None,
        cache: std::cell::Cell::new(0),
    };
    rental.cache.set(1);
    let mut out = dionysus::JsonWriter::new();
    rental.write_snapshot(&mut out);
    let text = String::from_utf8(out.finish().unwrap()).unwrap();
    assert_eq!(
        text,
        r#"{"id":1,"owner":null,"type":"house","from":null,"tags":["\u003cnew\u003e",null],"links":{}}"#
    );
    assert_eq!(Rental::PRIMARY_KEY, "rental_id");
    assert_eq!(Rental::SOFT_DELETE, Some("gone_since"));
    assert!(Rental::UPDATES_AFTER_SOFT_DELETE && !Note::UPDATES_AFTER_SOFT_DELETE);
    assert!(Rental::SELECT.is_some_and(|query| query.ends_with(" from core.rentals r")));
    assert_eq!(Note::SELECT, None);
    assert_eq!(Note { id: 2 }.id(), "2");
    assert_eq!(rental.partition_key_of("owner"), Some(None));
    assert_eq!(rental.partition_key_of("account"), None);
    assert!(!rental.soft_deleted());
}
