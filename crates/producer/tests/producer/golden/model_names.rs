//! The recording `06b-model-names`: names on the wire that are not those of the tables, and a single-table inheritance.

use dionysus_derive::Publishable;
use dionysus_producer::Topology;
use sqlx::FromRow;

use super::Message::Recorded;
use super::{holds, watch};

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Core::Booking", table = "core_bookings")]
struct Booking {
    id: i64,
    name: Option<String>,
    #[publishable(hidden)]
    account_id: Option<i64>,
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Rate", table = "legacy_rates")]
struct LegacyRate {
    id: i64,
    name: Option<String>,
    #[publishable(hidden)]
    account_id: Option<i64>,
}

#[derive(FromRow, Publishable)]
#[publishable(
    crate = "dionysus_core",
    table = "vehicles",
    select = "select * from vehicles where type is null"
)]
struct Vehicle {
    id: i64,
    name: Option<String>,
    #[publishable(hidden)]
    account_id: Option<i64>,
}

#[derive(FromRow, Publishable)]
#[publishable(
    crate = "dionysus_core",
    table = "vehicles",
    base = "Vehicle",
    select = "select * from vehicles where type = 'Car'"
)]
struct Car {
    id: i64,
    name: Option<String>,
    #[publishable(hidden)]
    account_id: Option<i64>,
}

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "countries")]
struct Country {
    #[publishable(id)]
    code: String,
    name: Option<String>,
}

#[tokio::test]
async fn names_keys_and_the_end_of_a_subclass_are_those_of_the_recording() {
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| {
            ns.topic("core", |t| t.publish::<Booking>())
                .topic("rates", |t| t.publish::<LegacyRate>())
                .topic("vehicles", |t| t.publish::<Vehicle>().publish::<Car>())
                .topic("countries", |t| t.publish::<Country>())
        })
        .build()
        .unwrap();
    let tables = vec![
        watch::<Booking>(),
        watch::<LegacyRate>(),
        watch::<Vehicle>(),
        watch::<Car>(),
        watch::<Country>(),
    ];
    // The gem's worker goes from topic to topic, ours are in the order of the transactions.
    holds(
        "06b-model-names",
        topology,
        tables,
        &[
            (1, &[Recorded(2, 0), Recorded(2, 2), Recorded(2, 3), Recorded(2, 4), Recorded(2, 1)]),
            (3, &[Recorded(4, 0), Recorded(4, 2), Recorded(4, 3), Recorded(4, 1)]),
            (5, &[Recorded(6, 0), Recorded(6, 2), Recorded(6, 3), Recorded(6, 1)]),
        ],
    )
    .await;
}
