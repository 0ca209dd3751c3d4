//! The document is AsyncAPI: by the schema that the initiative publishes, and by the references that it does not look at.

use dionysus_core::contract::{ModelContract, read};
use dionysus_core::{Schema, headers};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{document_of, model, topic, validator};
use crate::aggregates::{Booking, Property};
use crate::model_names::{Car, CoreBooking, Vehicle};

/// The published JSON Schema of AsyncAPI 3.0.0.
fn published() -> Validator {
    let schema = include_str!("../../../../../tests/asyncapi/3.0.0.json");
    jsonschema::draft7::new(&serde_json::from_str(schema).unwrap()).unwrap()
}

fn document() -> Value {
    let foreign = ModelContract { name: "Straße".into(), ..model::<CoreBooking>(&[]) };
    let mut bookings = topic("v3_bookings", [model::<Booking>(&["bookings_fees"])]);
    bookings.partitions = Some(12);
    document_of(&[
        bookings,
        topic("v3_vehicles", [model::<Vehicle>(&[]), model::<Car>(&[])]),
        topic("v3_core.all-of_it", [model::<CoreBooking>(&[]), foreign]),
        topic("v3_properties", [model::<Property>(&["photos"])]),
    ])
}

#[test]
fn the_document_is_valid_by_the_published_schema() {
    let published = published();
    for document in [document(), document_of(&[])] {
        let faults: Vec<String> = published
            .iter_errors(&document)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert_eq!(faults, [""; 0]);
    }
}

#[test]
fn the_published_schema_refuses_what_is_no_asyncapi() {
    type Mutation = fn(&mut Value);
    let published = published();
    let mutations: [Mutation; 5] = [
        |document| document["operations"]["publish.v3_bookings"]["action"] = json!("publish"),
        |document| {
            document["channels"]["v3_bookings"]["bindings"]["kafka"]["partitions"] = json!(0);
        },
        |document| document["channels"]["v3_bookings"]["messages"]["Booking.created"] = json!(1),
        |document| document["components"]["schemas"]["headers"]["type"] = json!("text"),
        |document| document["info"]["version"] = Value::Null,
    ];
    for (i, mutate) in mutations.iter().enumerate() {
        let mut document = document();
        mutate(&mut document);
        assert!(!published.is_valid(&document), "mutation {i}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}

#[test]
fn topics_twins_and_operations_name_the_same_messages() {
    let document = document();
    let messages = |channel: &str| document["channels"][channel]["messages"].clone();
    assert_eq!(messages("v3_vehicles"), messages("v3_vehicles_genesis"));
    let names: Vec<&String> =
        document["channels"]["v3_vehicles"]["messages"].as_object().unwrap().keys().collect();
    let events = ["created", "updated", "destroyed", "tombstone"];
    let expected: Vec<String> = ["Vehicle", "Car"]
        .iter()
        .flat_map(|model| events.map(|event| format!("{model}.{event}")))
        .collect();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    let operation = &document["operations"]["publish.v3_vehicles_genesis"];
    assert_eq!(operation["messages"].as_array().unwrap().len(), 8);
    let binding = &document["channels"]["v3_bookings_genesis"]["bindings"]["kafka"];
    assert_eq!(binding["partitions"], 12);
    assert_eq!(binding["topicConfiguration"]["cleanup.policy"], json!(["compact"]));
    assert!(document["channels"]["v3_vehicles"]["bindings"]["kafka"].get("partitions").is_none());
}

#[test]
fn a_hard_delete_goes_out_under_the_base_and_a_soft_one_whole() {
    let document = document();
    let messages = &document["components"]["messages"];
    let car = &messages["v3_vehicles.Car.destroyed"];
    assert_eq!(car["name"], "car_destroyed");
    assert_eq!(car["bindings"]["kafka"]["key"]["pattern"], "^(Vehicle:.+)$");
    let event = &car["payload"]["properties"]["message"]["items"]["properties"];
    assert_eq!(event["model_name"]["const"], "Vehicle");
    assert_eq!(event["data"]["items"]["required"], json!(["links", "id"]));
    assert_eq!(messages["v3_vehicles.Car.tombstone"]["payload"], json!({ "type": "null" }));
    let soft = &messages["v3_bookings.Booking.soft_deleted"];
    assert_eq!(soft["name"], "booking_destroyed");
    let event = &soft["payload"]["properties"]["message"]["items"]["properties"];
    assert_eq!(event["data"]["items"]["$ref"], "#/components/schemas/v3_bookings.Booking");
}

#[test]
fn the_headers_are_those_that_the_relay_writes() {
    let document = document();
    let validator = validator(&document, &document["components"]["schemas"]["headers"]);
    let written = json!({
        headers::VERSION: "281474976710657",
        headers::EVENT_ID: "0191d2a4-0000-7000-8000-00000000000a",
        headers::SNAPSHOT_TIME: "2023-11-14T22:13:20.000001Z",
        headers::TRACEPARENT: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tenant": "eu",
    });
    assert!(validator.is_valid(&written));
    for (name, wrong) in [
        (headers::VERSION, json!("-1")),
        (headers::VERSION, json!(1)),
        (headers::EVENT_ID, json!("1")),
        (headers::SNAPSHOT_TIME, json!("2023-11-14T22:13:20Z")),
        (headers::TRACEPARENT, json!("00-0")),
        (headers::AS_OF, json!("")),
    ] {
        let mut headers = written.clone();
        headers[name] = wrong;
        assert!(!validator.is_valid(&headers), "{name}");
    }
}

#[test]
fn a_document_is_the_same_from_the_database_as_from_the_application() {
    // What `jsonb` does to a value that is stored in it.
    fn stored(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| (name.len(), (*name).clone()));
                members.into_iter().map(|(name, value)| (name.clone(), stored(value))).collect()
            }
            Value::Array(values) => values.iter().map(stored).collect(),
            other => other.clone(),
        }
    }
    let mut topics = read(&document()).unwrap();
    for model in topics.iter_mut().flat_map(|topic| &mut topic.models) {
        model.schema = Schema::from(stored(model.schema.as_value()));
        model.partition_key = stored(&model.partition_key);
    }
    assert_eq!(document_of(&topics).to_string(), document().to_string());
}
