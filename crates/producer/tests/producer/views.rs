//! One model in the formats of several namespaces.

use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, Topology};

use crate::fixture::*;

#[derive(Publishable)]
#[publishable(crate = "dionysus_core", model = "Home", table = "rentals", partition_key = "title")]
struct Home {
    id: i64,
    title: String,
}

impl From<&Rental> for Home {
    fn from(rental: &Rental) -> Self {
        Self { id: rental.id, title: format!("<{}>", rental.name) }
    }
}

#[tokio::test]
async fn each_namespace_has_its_own_format_of_what_is_staged_once() {
    let database = migrated().await;
    let topology = Topology::builder()
        .namespace("v3", |ns| ns.topic("homes", |t| t.publish_as::<Rental, Home>()))
        .namespace("v4", |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
        .build()
        .unwrap();
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "Villa")).unwrap();
    // What a format does not show is no change of it, but of the other.
    let moved = Rental { account_id: Some(8), ..rental(2, "a") };
    tx.changed(Some(&rental(2, "a")), Some(&moved)).unwrap();
    tx.changed(Some(&rental(3, "a")), None).unwrap();
    tx.commit().await.unwrap();
    let rows = rows(&database.pool).await;
    let homes: Vec<_> = rows.iter().filter(|row| row.topic == "v3_homes").collect();
    let envelope = |event: &str, data: &str| {
        format!(r#"{{"message":[{{"event":"home_{event}","model_name":"Home","data":[{data}]}}]}}"#)
    };
    assert_eq!(
        homes[0].payload,
        envelope("created", r#"{"id":1,"title":"\u003cVilla\u003e","links":{}}"#)
    );
    assert_eq!(homes.last().unwrap().payload, envelope("destroyed", r#"{"links":{},"id":3}"#));
    assert_eq!(
        (homes[0].key.as_str(), homes[0].partition_key.as_deref()),
        ("Home:1", Some("<Villa>"))
    );
    let rentals: Vec<_> =
        rows.iter().filter(|row| row.topic == "v4_rentals").map(|row| row.event.as_str()).collect();
    assert_eq!(rentals, ["rental_created", "rental_updated", "rental_destroyed"]);
}
