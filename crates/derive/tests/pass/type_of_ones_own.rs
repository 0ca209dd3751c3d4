extern crate dionysus_core as dionysus;

use dionysus::{Attribute, JsonWriter, Publishable as _};
use dionysus_derive::Publishable;

struct Price(i64);

impl Attribute for Price {
    fn write(&self, out: &mut JsonWriter) {
        out.decimal(&format!("{}.{:02}", self.0 / 100, self.0 % 100));
    }
}

#[derive(Publishable)]
#[publishable(table = "fees", partition_key = "amount")]
struct Fee {
    #[publishable(id)]
    number: i32,
    amount: Option<Price>,
}

fn main() {
    let fee = Fee { number: 1, amount: Some(Price(1050)) };
    let mut out = JsonWriter::new();
    fee.write_snapshot(&mut out);
    assert_eq!(out.finish().unwrap(), br#"{"number":1,"amount":"10.5","links":{}}"#);
    assert_eq!(fee.partition_key_of("amount"), Some(Some("10.5".into())));
}
