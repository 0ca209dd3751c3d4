//! One case for each kind of change.

use dionysus_core::Schema;
use dionysus_core::contract::ChangeKind::{self, *};
use dionysus_core::contract::{ModelContract, TopicContract, diff, read};
use serde_json::{Value, json};

use super::{document_of, topic};

fn rental() -> ModelContract {
    let part = Schema::object([
        ("id", Schema::integer()),
        ("amount", Schema::decimal()),
        ("links", Schema::object([("rental", Schema::integer())])),
    ]);
    let links =
        Schema::object([("account", Schema::integer()), ("fees", Schema::list(Schema::integer()))]);
    let mut schema = Schema::object([
        ("id", Schema::integer().between(i64::MIN, i64::MAX)),
        ("name", Schema::string()),
        ("note", Schema::string().nullable()),
        ("state", Schema::labels(["draft", "open"])),
        ("stars", Schema::integer().between(1, 5)),
        ("share", Schema::number().format("float").nullable()),
        ("price", Schema::decimal()),
        ("tags", Schema::list(Schema::string())),
        ("place", Schema::object([("x", Schema::number())])),
        ("titles", Schema::map(Schema::string())),
        ("extra", Schema::any()),
        ("links", links),
    ])
    .into_value();
    schema["properties"]["fees"] = Schema::list(part).into_value();
    ModelContract {
        name: "Rental".into(),
        base: None,
        id: "id".into(),
        primary_key: "id".into(),
        soft_delete: Some("canceled_at".into()),
        partition_key: json!({ "attribute": "account_id", "integer": false }),
        schema: schema.into(),
    }
}

fn rentals() -> TopicContract {
    TopicContract { partitions: Some(12), ..topic("v3_rentals", [rental()]) }
}

/// Both ways go through the document, as they do on the command line.
fn changes(
    old: &[TopicContract],
    new: &[TopicContract],
) -> Vec<(Option<String>, ChangeKind, String)> {
    let read = |topics: &[TopicContract]| read(&document_of(topics)).unwrap();
    let changes = diff(&read(old), &read(new));
    for change in &changes {
        assert_eq!(change.breaking, change.kind.is_breaking());
    }
    changes.into_iter().map(|change| (change.place, change.kind, change.detail)).collect()
}

/// A change of the topic, what it is, and what it is the other way round.
type OfTopic = (&'static str, fn(&mut TopicContract), ChangeKind, ChangeKind);

#[test]
fn changes_of_a_topic_are_named() {
    let cases: [OfTopic; 9] = [
        ("no twin", |topic| topic.genesis_replica = false, GenesisRemoved, GenesisAdded),
        (
            "other partitions",
            |topic| topic.partitions = Some(6),
            PartitionsChanged,
            PartitionsChanged,
        ),
        ("no model", |topic| topic.models.clear(), ModelRemoved, ModelAdded),
        ("other key", |topic| topic.models[0].id = "code".into(), KeyChanged, KeyChanged),
        (
            "other column of the key",
            |topic| topic.models[0].primary_key = "rental_id".into(),
            KeyChanged,
            KeyChanged,
        ),
        ("a base", |topic| topic.models[0].base = Some("Place".into()), KeyChanged, KeyChanged),
        (
            "no partition key",
            |topic| topic.models[0].partition_key = Value::Null,
            PartitionKeyChanged,
            PartitionKeyChanged,
        ),
        (
            "no soft delete",
            |topic| topic.models[0].soft_delete = None,
            SoftDeleteChanged,
            SoftDeleteAdded,
        ),
        (
            "another soft delete",
            |topic| topic.models[0].soft_delete = Some("gone".into()),
            SoftDeleteChanged,
            SoftDeleteChanged,
        ),
    ];
    for (what, change, kind, reverse) in cases {
        let mut new = rentals();
        change(&mut new);
        for (old, new, kind) in [(rentals(), new.clone(), kind), (new, rentals(), reverse)] {
            let found = changes(&[old], &[new]);
            assert_eq!(found.len(), 1, "{what}: {found:?}");
            assert_eq!((&found[0].0, found[0].1), (&None, kind), "{what}");
        }
    }
    assert_eq!(changes(&[rentals()], &[])[0].1, TopicRemoved);
    assert_eq!(changes(&[], &[rentals()])[0].1, TopicAdded);
}

/// A place in the snapshot, what comes there, what the change is, and what it is the other way round.
type OfSnapshot = (&'static str, Option<fn(Schema) -> Schema>, ChangeKind, ChangeKind);

#[test]
fn changes_of_a_snapshot_are_named_with_their_place() {
    let cases: [OfSnapshot; 27] = [
        ("name", None, AttributeRemoved, AttributeAdded),
        ("links.account", None, LinkRemoved, LinkAdded),
        ("fees", None, PartRemoved, PartAdded),
        ("fees[].amount", None, AttributeRemoved, AttributeAdded),
        ("fees[].links.rental", None, LinkRemoved, LinkAdded),
        ("place.x", None, AttributeRemoved, AttributeAdded),
        ("name", Some(Schema::nullable), NullAdded, NullRemoved),
        ("note", Some(Schema::not_null), NullRemoved, NullAdded),
        ("state", Some(Schema::nullable), NullAdded, NullRemoved),
        ("links.account", Some(Schema::nullable), NullAdded, NullRemoved),
        ("fees[].amount", Some(Schema::nullable), NullAdded, NullRemoved),
        ("place", Some(Schema::nullable), NullAdded, NullRemoved),
        ("name", Some(|_| Schema::integer()), TypeChanged, TypeChanged),
        ("name", Some(|_| Schema::uuid()), TypeChanged, TypeChanged),
        ("name", Some(|_| Schema::labels(["a"])), TypeChanged, TypeChanged),
        ("price", Some(|_| Schema::number()), TypeChanged, TypeChanged),
        ("price", Some(|_| Schema::timestamp()), TypeChanged, TypeChanged),
        ("share", Some(|_| Schema::integer().nullable()), TypeChanged, TypeChanged),
        ("links.fees", Some(|_| Schema::integer()), TypeChanged, TypeChanged),
        ("tags[]", Some(|_| Schema::boolean()), TypeChanged, TypeChanged),
        ("titles.*", Some(|_| Schema::integer()), TypeChanged, TypeChanged),
        ("extra", Some(|_| Schema::string()), TypeSpecified, TypeChanged),
        ("stars", Some(|_| Schema::integer().between(0, 5)), RangeWidened, RangeNarrowed),
        ("stars", Some(|_| Schema::integer().between(1, 10)), RangeWidened, RangeNarrowed),
        ("stars", Some(|_| Schema::integer()), RangeWidened, RangeNarrowed),
        ("share", Some(|schema| schema.format("double")), RangeWidened, RangeNarrowed),
        ("state", Some(|_| Schema::labels(["draft", "open", "shut"])), LabelAdded, LabelRemoved),
    ];
    for (place, change, kind, reverse) in cases {
        let mut new = rentals();
        change_at(place, change, &mut new.models[0].schema);
        for (old, new, kind) in [(rentals(), new.clone(), kind), (new, rentals(), reverse)] {
            let found = changes(&[old], &[new]);
            assert_eq!(found.len(), 1, "{place} {kind:?}: {found:?}");
            assert_eq!((found[0].0.as_deref(), found[0].1), (Some(place), kind));
        }
    }
}

/// Changes the schema at a place, or takes the member away.
fn change_at(place: &str, change: Option<fn(Schema) -> Schema>, schema: &mut Schema) {
    let steps = place.replace("[]", ".[]");
    let (mut object, mut last) = (String::new(), String::new());
    for step in steps.split('.') {
        object.push_str(&last);
        last = match step {
            "[]" => "/items".into(),
            "*" => "/additionalProperties".into(),
            name => format!("/properties/{name}"),
        };
    }
    let mut value = schema.clone().into_value();
    let object = value.pointer_mut(&object).unwrap();
    if let Some(change) = change {
        let member = object.pointer_mut(&last).unwrap();
        *member = change(member.take().into()).into_value();
    } else {
        let name = last.rsplit('/').next().unwrap();
        object["properties"].as_object_mut().unwrap().shift_remove(name).unwrap();
        object["required"].as_array_mut().unwrap().retain(|required| required != name);
    }
    *schema = value.into();
}

#[test]
fn an_attribute_that_may_be_missing_now_is_as_good_as_gone() {
    let mut new = rentals();
    let mut schema = new.models[0].schema.clone().into_value();
    schema["properties"]["place"]["required"] = json!([]);
    new.models[0].schema = schema.into();
    let found = changes(&[rentals()], &[new]);
    assert_eq!((found[0].0.as_deref(), found[0].1), (Some("place.x"), AttributeRemoved));
}

#[test]
fn two_changes_of_one_attribute_are_both_told() {
    let mut new = rentals();
    change_at("name", Some(|_| Schema::integer().nullable()), &mut new.models[0].schema);
    let kinds: Vec<_> = changes(&[rentals()], &[new]).into_iter().map(|found| found.1).collect();
    assert_eq!(kinds, [NullAdded, TypeChanged]);
}

#[test]
fn words_that_do_not_bind_and_unknown_partitions_are_no_change() {
    let mut new = rentals();
    change_at(
        "name",
        Some(|schema| schema.with("title", "Name".into())),
        &mut new.models[0].schema,
    );
    change_at(
        "name",
        Some(|schema| schema.with("description", "x".into())),
        &mut new.models[0].schema,
    );
    new.partitions = None;
    new.max_message_bytes = Some(1);
    assert_eq!(changes(&[rentals()], &[new]), []);
}

#[test]
fn a_schema_of_ones_own_that_changes_is_another_type() {
    let mut old = rentals();
    change_at(
        "name",
        Some(|_| json!({ "oneOf": [{ "const": 1 }] }).into()),
        &mut old.models[0].schema,
    );
    let mut new = old.clone();
    change_at(
        "name",
        Some(|_| json!({ "oneOf": [{ "const": 2 }] }).into()),
        &mut new.models[0].schema,
    );
    let found = changes(&[old], &[new]);
    assert_eq!(
        found,
        [(Some("name".into()), TypeChanged, "a value of its own got another form".into())]
    );
}

#[test]
fn changes_say_in_words_what_became_of_what() {
    let mut new = rentals();
    new.models[0].partition_key = json!({ "attribute": "account_id", "integer": true });
    change_at("stars", Some(|_| Schema::integer().between(0, 5)), &mut new.models[0].schema);
    change_at("price", Some(|_| Schema::number().nullable()), &mut new.models[0].schema);
    let details: Vec<_> = changes(&[rentals()], &[new]).into_iter().map(|found| found.2).collect();
    assert_eq!(
        details,
        [
            "`account_id` became the integer of `account_id`",
            "integer from 1 to 5 became integer from 0 to 5",
            "null can come now",
            "a text (decimal) became a number",
        ]
    );
}
