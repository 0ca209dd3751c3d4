//! Names that a model may have: namespaced, overridden, inherited, with a primary key of its own.

use dionysus_core::EventKind::{Created, Updated};
use dionysus_core::{Model, Publishable};
use dionysus_derive::Publishable;

use crate::support::{farewell, message, recorded};

const RECORDING: &str = include_str!("../../../../tests/golden/06b-model-names.json");

#[derive(Publishable)]
#[publishable(model = "Core::Booking", table = "core_bookings", crate = "dionysus_core")]
pub(crate) struct CoreBooking {
    id: i64,
    name: &'static str,
}

#[derive(Publishable)]
#[publishable(model = "Rate", table = "legacy_rates", crate = "dionysus_core")]
pub(crate) struct LegacyRate {
    id: i64,
    name: &'static str,
}

#[derive(Publishable)]
#[publishable(table = "vehicles", crate = "dionysus_core")]
pub(crate) struct Vehicle {
    id: i64,
    name: &'static str,
}

#[derive(Publishable)]
#[publishable(table = "vehicles", base = "Vehicle", crate = "dionysus_core")]
pub(crate) struct Car {
    id: i64,
    name: &'static str,
}

#[derive(Publishable)]
#[publishable(table = "countries", primary_key = "code", crate = "dionysus_core")]
pub(crate) struct Country {
    code: &'static str,
    name: &'static str,
}

/// Topic, key and payload.
type Sent = (String, String, String);

fn living<P: Publishable>(topic: &str, kind: dionysus_core::EventKind, instance: &P) -> Sent {
    let key = Model::new(P::MODEL).unwrap().key(&instance.id());
    (topic.to_owned(), key, message(kind, instance, &[]).unwrap())
}

fn gone<P: Publishable>(topic: &str, instance: &P) -> Sent {
    let key = Model::new(P::BASE.unwrap_or(P::MODEL)).unwrap().key(&instance.id());
    (topic.to_owned(), key, farewell(instance))
}

#[test]
fn models_give_the_recorded_keys_events_and_payloads() {
    let booking = |name| CoreBooking { id: 1, name };
    let country = |name| Country { code: "PL/ł", name };
    let rate = |name| LegacyRate { id: 2, name };
    let car = |name| Car { id: 4, name };
    let sent = [
        living("v3_core", Created, &booking("core")),
        living("v3_countries", Created, &country("Poland")),
        living("v3_rates", Created, &rate("rate")),
        living("v3_vehicles", Created, &Vehicle { id: 3, name: "bike" }),
        living("v3_vehicles", Created, &car("car")),
        living("v3_core", Updated, &booking("core2")),
        living("v3_countries", Updated, &country("Polska")),
        living("v3_rates", Updated, &rate("rate2")),
        living("v3_vehicles", Updated, &car("car2")),
        gone("v3_core", &booking("core2")),
        gone("v3_countries", &country("Polska")),
        gone("v3_rates", &rate("rate2")),
        gone("v3_vehicles", &car("car2")),
    ];
    let recorded: Vec<Sent> =
        recorded(RECORDING).into_iter().map(|m| (m.topic, m.key, m.payload)).collect();
    assert_eq!(sent.as_slice(), recorded.as_slice());
}
