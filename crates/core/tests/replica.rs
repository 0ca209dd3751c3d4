//! The derive and a configuration are two ways of writing one mapping.

use chrono::{DateTime, Utc};
use dionysus_core::{Removal, Replica, ReplicaMapping};
use dionysus_derive::Replica;

#[derive(Replica)]
#[replica(
    model = "Booking",
    table = "replicas.bookings",
    sideloaded_as = "bookings",
    sideloaded_as = "Reservation",
    crate = "dionysus_core"
)]
#[expect(dead_code, reason = "only its fields' names are of interest")]
struct Booking {
    #[replica(skip)]
    id: i64,
    #[replica(from = "id")]
    remote_id: i64,
    synced_created_at: DateTime<Utc>,
    synced_updated_at: DateTime<Utc>,
    #[replica(from = "canceled_at", column = "gone_since")]
    canceled: Option<DateTime<Utc>>,
    name: String,
    #[replica(from = "price")]
    amount: Option<String>,
    synced_account_id: Option<i64>,
    #[replica(from = "links.rental")]
    rental: Option<i64>,
    #[replica(from = "links.bookable.type", column = "bookable_type")]
    kind: Option<String>,
    #[replica(removal_flag)]
    hidden: bool,
    synced_data: serde_json::Value,
}

#[test]
fn a_derived_mapping_is_that_of_a_configuration() {
    let configured: ReplicaMapping = serde_json::from_value(serde_json::json!({
        "model": "Booking",
        "table": "replicas.bookings",
        "sideloaded_as": ["bookings", "Reservation"],
        "id": "remote_id",
        "created_at": "synced_created_at",
        "updated_at": "synced_updated_at",
        "canceled_at": "gone_since",
        "columns": [
            "name",
            { "attribute": "price", "column": "amount" },
            "synced_account_id",
            { "attribute": "synced_rental_id", "column": "rental" },
            { "attribute": "synced_bookable_type", "column": "bookable_type" },
        ],
        "removal": { "flag": "hidden" },
        "synced_data": "synced_data",
    }))
    .unwrap();
    assert_eq!(Booking::mapping(), configured);
    configured.validate().unwrap();
    assert_eq!((Booking::MODEL, Booking::TABLE), ("Booking", "replicas.bookings"));
}

#[derive(Replica)]
#[replica(model = "Note", table = "notes", crate = "dionysus_core")]
#[expect(dead_code, reason = "only its fields' names are of interest")]
struct Note {
    synced_id: i64,
    body: Option<String>,
}

#[test]
fn a_small_table_needs_no_options_on_its_fields() {
    let mapping = Note::mapping();
    mapping.validate().unwrap();
    assert_eq!(
        mapping.assignments().collect::<Vec<_>>(),
        [("synced_id", "synced_id"), ("body", "body")]
    );
    assert_eq!((mapping.removal, mapping.synced_data), (Removal::Delete, None));
}
