//! What the gem put on the wire, and what a derived model puts there.
//!
//! `01a-simple-crud.json` was recorded from the running gem; the other texts are single messages of further recordings.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use chrono::{DateTime, Utc};
use dionysus_core::EventKind::{Created, Destroyed, Updated};
use dionysus_core::{EventKind, Model, Publishable, Topic, encode_message_with, partition_of};
use dionysus_derive::Publishable;
use serde_json::Value;

const RECORDING: &str = include_str!("../../../tests/golden/01a-simple-crud.json");

/// The recordings choose among twelve partitions.
const PARTITIONS: u32 = 12;

#[derive(Publishable)]
#[publishable(table = "notes", partition_key = "account_id", crate = "dionysus_core")]
struct Note {
    id: i64,
    account_id: Option<i64>,
    body: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

fn time(text: &str) -> DateTime<Utc> {
    format!("2024-01-15T10:00:{text}Z").parse().unwrap()
}

fn note(account_id: i64, body: &str, updated_at: &str) -> Note {
    Note {
        id: 1,
        account_id: Some(account_id),
        body: Some(body.into()),
        created_at: time("00"),
        updated_at: time(updated_at),
    }
}

/// The instance at each message of the recording. What a hard delete leaves is its id, and the account for the partition key.
fn history() -> Vec<(EventKind, Note)> {
    let without_account = || Note {
        id: 2,
        account_id: None,
        body: None,
        created_at: time("05"),
        updated_at: time("05"),
    };
    vec![
        (Created, note(7, "first", "00.000000")),
        (Updated, note(7, "second", "01.234567")),
        (Updated, note(7, "second", "02.500000")),
        (Updated, note(8, "third", "03.000000")),
        (Destroyed, note(8, "third", "03.000000")),
        (Created, without_account()),
        (Destroyed, without_account()),
        (Destroyed, Note { id: 3, ..note(9, "short-lived", "06") }),
    ]
}

fn message<P: Publishable>(kind: EventKind, instance: &P, row_is_gone: bool) -> String {
    let event = Model::new(P::MODEL).unwrap().event(kind);
    let bytes = encode_message_with(&event, P::MODEL, |out| {
        if row_is_gone {
            instance.write_destroyed(out);
        } else {
            instance.write_snapshot(out);
        }
    });
    String::from_utf8(bytes.unwrap()).unwrap()
}

#[test]
fn a_derived_model_gives_the_recorded_messages() {
    let recording: Value = serde_json::from_str(RECORDING).unwrap();
    let steps = recording["steps"].as_array().unwrap();
    let recorded: Vec<&Value> =
        steps.iter().filter_map(|step| step["messages"].as_array()).flatten().collect();
    let history = history();
    assert_eq!(recorded.len(), history.len());
    for (recorded, (kind, instance)) in recorded.into_iter().zip(&history) {
        let topic = Topic::in_namespace("v3", "notes").unwrap();
        assert_eq!(recorded["topic"], topic.as_str());
        assert_eq!(recorded["key"], Model::new(Note::MODEL).unwrap().key(&instance.id()));
        // The gem makes an integer of every partition key, and 0 of null; ours is left out unless the topology asks for that.
        let partition_key = instance.partition_key_of(Note::PARTITION_KEY.unwrap()).unwrap();
        let partition_key = partition_key.unwrap_or_else(|| "0".into());
        assert_eq!(recorded["partition_key"], partition_key.as_str());
        assert_eq!(recorded["partition_of_12"], partition_of(&partition_key, PARTITIONS));
        assert_eq!(recorded["payload"], message(*kind, instance, *kind == Destroyed));
    }
}

/// The recording's model has a string as its primary key, under a name of its own, and no partition key.
#[derive(Publishable)]
#[publishable(table = "countries", primary_key = "code", crate = "dionysus_core")]
struct Country {
    code: String,
    name: String,
}

#[test]
fn a_primary_key_keeps_the_name_of_its_column() {
    let country = Country { code: "PL/ł".into(), name: "Poland".into() };
    assert_eq!(Country::PRIMARY_KEY, "code");
    assert_eq!(country.id(), "PL/ł");
    assert_eq!(
        message(Created, &country, false),
        r#"{"message":[{"event":"country_created","model_name":"Country","data":[{"code":"PL/ł","name":"Poland","links":{}}]}]}"#
    );
    assert_eq!(
        message(Destroyed, &country, true),
        r#"{"message":[{"event":"country_destroyed","model_name":"Country","data":[{"links":{},"code":"PL/ł"}]}]}"#
    );
}

/// The recording's account decides the partition and is not among the attributes.
#[derive(Publishable)]
#[publishable(
    model = "Core::Rental",
    table = "core_rentals",
    partition_key = "account_id",
    crate = "dionysus_core"
)]
struct Rental {
    id: i64,
    name: &'static str,
    canceled_at: Option<DateTime<Utc>>,
    #[publishable(hidden)]
    account_id: i64,
    #[publishable(skip)]
    selected: bool,
}

#[test]
fn a_hidden_attribute_decides_the_partition_and_is_not_written() {
    let rental = Rental {
        id: 1,
        name: "Villa <b>",
        canceled_at: Some(time("10.123999")),
        account_id: 7,
        selected: true,
    };
    assert!(rental.selected);
    assert!(rental.soft_deleted());
    assert_eq!(Rental::SOFT_DELETE, Some("canceled_at"));
    assert_eq!(rental.partition_key_of("account_id"), Some(Some("7".into())));
    assert_eq!(rental.partition_key_of("selected"), None);
    assert_eq!(
        message(Destroyed, &rental, false),
        concat!(
            r#"{"message":[{"event":"core_rental_destroyed","model_name":"Core::Rental","data":[{"id":1,"#,
            r#""name":"Villa \u003cb\u003e","canceled_at":"2024-01-15T10:00:10.123Z","links":{}}]}]}"#
        )
    );
}

#[test]
fn attributes_say_where_they_are_read_from() {
    let attributes: Vec<_> =
        Rental::ATTRIBUTES.iter().map(|a| (a.name, a.column, a.type_name, a.hidden)).collect();
    assert_eq!(
        attributes,
        [
            ("id", "id", "i64", false),
            ("name", "name", "&'staticstr", false),
            ("canceled_at", "canceled_at", "Option<DateTime<Utc>>", false),
            ("account_id", "account_id", "i64", true),
        ]
    );
}
