//! Each message that the gem wrote is exactly one of those that the document tells of; a mutated one is none.

use chrono::{DateTime, Utc};
use dionysus_core::contract::TopicContract;
use dionysus_derive::Publishable;
use serde_json::{Value, json};

use super::{document_of, matching, messages, model, topic};
use crate::aggregates::{Booking, Property};
use crate::model_names::{Car, CoreBooking, Country, LegacyRate, Vehicle};
use crate::support::recorded;

#[derive(Publishable)]
#[publishable(table = "notes", partition_key = "account_id", crate = "dionysus_core")]
struct Note {
    id: i64,
    account_id: Option<i64>,
    body: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Publishable)]
#[publishable(table = "rentals", crate = "dionysus_core")]
struct Rental {
    id: i64,
    name: Option<String>,
    canceled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Each recording with the topics that its models are published in.
fn recordings() -> [(&'static str, Vec<TopicContract>); 5] {
    let names = vec![
        topic("v3_core", [model::<CoreBooking>(&[])]),
        topic("v3_countries", [model::<Country>(&[])]),
        topic("v3_rates", [model::<LegacyRate>(&[])]),
        topic("v3_vehicles", [model::<Vehicle>(&[]), model::<Car>(&[])]),
    ];
    [
        (
            include_str!("../../../../../tests/golden/01a-simple-crud.json"),
            vec![topic("v3_notes", [model::<Note>(&[])])],
        ),
        (
            include_str!("../../../../../tests/golden/02a-aggregate.json"),
            vec![topic("v3_bookings", [model::<Booking>(&["bookings_fees"])])],
        ),
        (
            include_str!("../../../../../tests/golden/02c-links-and-overrides.json"),
            vec![topic("v3_properties", [model::<Property>(&["photos", "owner"])])],
        ),
        (
            include_str!("../../../../../tests/golden/03a-soft-delete.json"),
            vec![topic("v3_rentals", [model::<Rental>(&[])])],
        ),
        (include_str!("../../../../../tests/golden/06b-model-names.json"), names),
    ]
}

#[test]
fn each_recorded_message_is_one_of_the_document_under_its_key() {
    let mut seen = 0;
    for (recording, topics) in recordings() {
        let document = document_of(&topics);
        for recorded in recorded(recording) {
            let payload: Value = serde_json::from_str(&recorded.payload).unwrap();
            let messages = messages(&document, &recorded.topic);
            let found = matching(&messages, &payload);
            assert_eq!(found.len(), 1, "{} is {found:?}", recorded.payload);
            assert!(found[0].key.is_valid(&json!(recorded.key)), "{}", recorded.key);
            assert!(!found[0].key.is_valid(&json!(recorded.key.replace(':', "/"))));
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} messages");
}

#[test]
fn a_mutated_message_is_none_of_the_document() {
    let mut seen = 0;
    for (recording, topics) in recordings() {
        let document = document_of(&topics);
        for recorded in recorded(recording) {
            let payload: Value = serde_json::from_str(&recorded.payload).unwrap();
            let messages = messages(&document, &recorded.topic);
            for (what, mutated) in mutations(&payload) {
                let found = matching(&messages, &mutated);
                assert!(found.is_empty(), "{mutated} is {found:?} with {what}");
                seen += 1;
            }
        }
    }
    assert!(seen > 400, "{seen} mutations");
}

/// The same message with one fault each.
fn mutations(payload: &Value) -> Vec<(String, Value)> {
    let mut mutations = Vec::new();
    let mut add = |what: String, mutate: &dyn Fn(&mut Value)| {
        let mut mutated = payload.clone();
        mutate(&mut mutated);
        mutations.push((what, mutated));
    };
    let event = |message: &mut Value, field: &str, value: Value| {
        message["message"][0][field] = value;
    };
    add("no event".into(), &|message| message["message"] = json!([]));
    add("no envelope".into(), &|message| *message = message["message"][0]["data"][0].take());
    add("another event".into(), &|message| event(message, "event", json!("thing_updated")));
    add("another model".into(), &|message| event(message, "model_name", json!("Thing")));
    add("no instance".into(), &|message| event(message, "data", json!([])));
    add("two events".into(), &|message| {
        let first = message["message"][0].clone();
        message["message"].as_array_mut().unwrap().push(first);
    });
    for name in payload["message"][0]["data"][0].as_object().unwrap().keys() {
        // Any value may stand there.
        if name == "settings" {
            continue;
        }
        let snapshot = |message: &mut Value| message["message"][0]["data"][0].take();
        add(format!("`{name}` of a wrong type"), &|message| {
            let mut taken = snapshot(message);
            taken[name] = json!({ "no": { "such": "type" } });
            if name == "links" {
                taken[name] = json!([]);
            }
            message["message"][0]["data"][0] = taken;
        });
        // Parts may be missing.
        if !["bookings_fees", "photos", "owner"].contains(&name.as_str()) {
            add(format!("no `{name}`"), &|message| {
                let mut taken = snapshot(message);
                taken.as_object_mut().unwrap().remove(name);
                message["message"][0]["data"][0] = taken;
            });
        }
    }
    mutations
}
