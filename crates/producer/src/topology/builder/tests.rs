#![expect(clippy::redundant_closure_for_method_calls, reason = "declarations read alike")]

use std::any::type_name;

use dionysus_core::{AttributeInfo, JsonWriter, Part, Publishable};
use dionysus_derive::Publishable;

use super::*;

#[derive(Publishable)]
#[publishable(crate = "dionysus_core", table = "rentals")]
struct Rental {
    id: i64,
    #[publishable(hidden)]
    account_id: Option<i64>,
    code: String,
}

#[derive(Publishable)]
#[publishable(crate = "dionysus_core", table = "accounts")]
struct Account {
    id: i64,
}

#[derive(Publishable)]
#[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
struct SecondRental {
    id: i64,
}

/// By hand: the derive would refuse its name.
struct Odd;

impl Publishable for Odd {
    const MODEL: &'static str = "no name";
    const TABLE: &'static str = "odd";
    const PRIMARY_KEY: &'static str = "id";
    const ATTRIBUTES: &'static [AttributeInfo] = &[];
    const SOFT_DELETE: Option<&'static str> = None;
    const PARTITION_KEY: Option<&'static str> = None;

    fn id(&self) -> String {
        "1".into()
    }

    fn partition_key_of(&self, _: &str) -> Option<Option<String>> {
        None
    }

    fn soft_deleted(&self) -> bool {
        false
    }

    fn write_snapshot(&self, out: &mut JsonWriter) {
        self.write_destroyed(out);
    }

    fn write_destroyed(&self, out: &mut JsonWriter) {
        out.begin_object();
        out.end_object();
    }
}

fn mistakes(builder: TopologyBuilder) -> Vec<Mistake> {
    match builder.build() {
        Err(Error::Topology { mistakes }) => mistakes,
        other => panic!("{other:?}"),
    }
}

fn key(topology: &Topology, topic: &str, rental: &Rental) -> Option<String> {
    let model = topology.topic(topic).unwrap().model("Rental").unwrap();
    model.partition_key().of(rental).unwrap()
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_place() {
    let builder = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("rentals", |t| {
                t.genesis_replica().publish::<Rental>().publish::<SecondRental>()
            })
            .topic("rentals_genesis", |t| t.publish::<Account>())
            .topic("empty", |t| t)
            .topic("sp ace", |t| t.publish::<Account>())
            .topic("odd", |t| t.publish::<Odd>().max_message_bytes(0))
            .topic("keys", |t| {
                t.partition_key("region")
                    .publish::<Account>()
                    .partition_key_with(|_: &Rental| None)
                    .max_message_bytes(10)
            })
        })
        .namespace("v3", |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
        .namespace("v4", |ns| ns);
    let found = mistakes(builder);
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "topic `v3_rentals` publishes model `Rental` twice",
            "topic `v3_empty` publishes no model",
            "topic `sp ace` of namespace `v3` has no valid name",
            "topic `v3_odd`: `no name` is not a model name",
            "topic `v3_odd` has a limit of 0 bytes, the smallest is 1",
            &format!(
                "topic `v3_keys` computes a partition key for `{}`, which it does not publish",
                type_name::<Rental>()
            ),
            "topic `v3_keys`: model `Account` has no attribute `region` to be its partition key",
            "topic `v3_keys` has a limit of 10 bytes, the smallest is 78",
            "namespace `v3` is declared twice",
            "namespace `v4` declares no topic",
            "topic `v3_rentals` is declared twice",
            "topic `v3_rentals_genesis` has the name of the genesis twin of `v3_rentals`",
        ]
    );
    let error = Error::Topology { mistakes: found };
    assert!(
        error.to_string().starts_with("the topology has 12 mistakes: topic `v3_rentals` publishes")
    );
    assert!(error.remedy().unwrap().contains("declare a topic once"));
}

#[test]
fn a_topic_is_a_name_across_namespaces() {
    let builder = Topology::builder()
        .namespace("a", |ns| ns.topic("b_c", |t| t.publish::<Rental>()))
        .namespace("a_b", |ns| ns.topic("c", |t| t.publish::<Rental>()));
    assert_eq!(mistakes(builder), [Mistake::DuplicateTopic { topic: "a_b_c".into() }]);
}

#[test]
fn a_partition_key_is_the_topics_then_the_models_then_the_default() {
    let topology = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("by_default", |t| t.publish::<Rental>().publish::<Account>())
                .topic("by_code", |t| t.partition_key("code").publish::<Rental>())
                .topic("by_closure", |t| {
                    t.partition_key("id")
                        .publish::<Rental>()
                        .partition_key_with(|rental: &Rental| Some(format!("#{}", rental.code)))
                        .publish::<Account>()
                })
        })
        .build()
        .unwrap();
    let rental = Rental { id: 1, account_id: Some(7), code: "12ab".into() };
    assert_eq!(key(&topology, "v3_by_default", &rental).as_deref(), Some("7"));
    assert_eq!(key(&topology, "v3_by_code", &rental).as_deref(), Some("12ab"));
    assert_eq!(key(&topology, "v3_by_closure", &rental).as_deref(), Some("#12ab"));
    assert_eq!(key(&topology, "v3_by_default", &Rental { account_id: None, ..rental }), None);
    for (topic, expected) in [("v3_by_default", None), ("v3_by_closure", Some("1"))] {
        let model = topology.topic(topic).unwrap().model("Account").unwrap();
        assert_eq!(
            model.partition_key().of(&Account { id: 1 }).unwrap().as_deref(),
            expected,
            "{topic}"
        );
    }
}

#[test]
fn integer_partition_keys_are_the_gems() {
    let topology = Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| {
            ns.topic("by_default", |t| t.publish::<Rental>())
                .topic("by_code", |t| t.partition_key("code").publish::<Rental>())
                .topic("by_missing", |t| t.partition_key("no_such_attribute").publish::<Rental>())
                .topic("by_closure", |t| {
                    t.publish::<Rental>()
                        .partition_key_with(|rental: &Rental| Some(rental.code.clone()))
                })
        })
        .build()
        .unwrap();
    let rental = Rental { id: 1, account_id: None, code: "12ab".into() };
    assert_eq!(key(&topology, "v3_by_default", &rental).as_deref(), Some("0"));
    assert_eq!(key(&topology, "v3_by_code", &rental).as_deref(), Some("12"));
    assert_eq!(key(&topology, "v3_by_missing", &rental), None);
    assert_eq!(key(&topology, "v3_by_closure", &rental).as_deref(), Some("12ab"));
}

#[test]
fn lookups_find_topics_and_models() {
    let topology = Topology::builder()
        .no_default_partition_key()
        .namespace("v3", |ns| ns.topic("rentals", |t| t.genesis_replica().publish::<Rental>()))
        .namespace("v4", |ns| {
            ns.topic("rentals", |t| t.publish::<SecondRental>())
                .topic("all", |t| t.publish::<Account>().publish::<Rental>())
        })
        .build()
        .unwrap();
    let names = |topics: Vec<&PublishedTopic>| -> Vec<String> {
        topics.iter().map(|topic| topic.name().to_string()).collect()
    };
    assert_eq!(
        names(topology.topics_of("Rental").collect()),
        ["v3_rentals", "v4_rentals", "v4_all"]
    );
    assert_eq!(names(topology.topics_of_type::<Rental>().collect()), ["v3_rentals", "v4_all"]);
    assert_eq!(names(topology.topics_of("Nothing").collect()), Vec::<String>::new());
    let topic = topology.topic("v3_rentals_genesis").unwrap();
    assert_eq!((topic.name().as_str(), topic.namespace()), ("v3_rentals", "v3"));
    assert_eq!(topic.models().map(|model| model.name().as_str()).collect::<Vec<_>>(), ["Rental"]);
    assert!(topology.topic("v4_rentals_genesis").is_none());
}

#[derive(sqlx::FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(link = "rental")]
    rental_id: Option<i64>,
    #[sqlx(skip)]
    #[publishable(part)]
    fees: Part<Vec<Fee>>,
}

#[derive(sqlx::FromRow, Publishable)]
#[publishable(crate = "dionysus_core", table = "fees")]
struct Fee {
    id: i64,
    #[publishable(hidden)]
    booking_id: i64,
}

#[test]
fn the_registration_tells_what_relay_and_command_line_need() {
    let topology = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("bookings", |t| {
                t.genesis_replica()
                    .tombstones()
                    .publish::<Booking>()
                    .with::<Fee>()
                    .observe::<Rental>(["code"], "rental_id")
            })
        })
        .build()
        .unwrap();
    let [mut registration] = topology.registrations().try_into().unwrap();
    assert!(registration.genesis_replica);
    let name = (registration.name.as_str(), registration.namespace.as_str());
    assert_eq!(name, ("v3_bookings", "v3"));
    // The schema is that of `dionysus_core::Schema`, tested there.
    let model = &mut registration.topology["models"][0];
    assert!(model["schema"].take().is_object());
    assert_eq!(
        *model,
        serde_json::json!({
            "model": "Booking",
            "base": null,
            "table": "bookings",
            "primary_key": "id",
            "select": null,
            "source": "sql",
            "columns": [
                {"name": "id", "column": "id", "type": "i64", "hidden": false},
                {"name": "rental_id", "column": "rental_id", "type": "Option<i64>", "hidden": true},
            ],
            "links": [
                {"name": "rental", "kind": "to_one", "column": "rental_id", "type_column": null},
                {"name": "fees", "kind": "to_many", "column": null, "type_column": null},
            ],
            "parts": [{
                "name": "fees",
                "model": "Fee",
                "table": "fees",
                "primary_key": "id",
                "to_many": true,
                "key": {"in": "part", "column": "booking_id"},
            }],
            "observes": [{
                "model": "Rental",
                "table": "rentals",
                "attributes": ["code"],
                "from": null,
                "path": {"hops": [], "column": "rental_id"},
            }],
            "soft_delete": null,
            "updates_after_soft_delete": false,
            "partition_key": null,
            "schema": null,
        })
    );
    assert_eq!(registration.topology["format"], 1);
    assert_eq!(registration.topology["max_message_bytes"], 998_976);
    assert_eq!(registration.topology["tombstones"], true);
}

#[test]
fn parts_are_listed_with_their_root_and_models_without_parts_list_none() {
    let topology = Topology::builder()
        .no_default_partition_key()
        .namespace("v3", |ns| {
            ns.topic("bookings", |t| t.genesis_replica().publish::<Booking>().with::<Fee>())
                .topic("rentals", |t| t.publish::<Rental>())
        })
        .build()
        .unwrap();
    let mapping: Vec<_> = topology
        .topics()
        .flat_map(|topic| topic.models().map(move |model| (topic.name().as_str(), model)))
        .map(|(topic, model)| {
            let parts: Vec<_> = model.parts().map(|part| part.model).collect();
            (topic, model.name().as_str(), parts)
        })
        .collect();
    assert_eq!(
        mapping,
        [("v3_bookings", "Booking", vec!["Fee"]), ("v3_rentals", "Rental", vec![])]
    );
    let roots = |part: &'static str| {
        topology
            .roots_of(part)
            .map(|(topic, model)| (topic.name().as_str(), model.name().as_str()))
            .collect::<Vec<_>>()
    };
    assert_eq!(roots("Fee"), [("v3_bookings", "Booking")]);
    assert_eq!(roots("Booking"), []);
}

#[test]
fn a_topology_without_namespaces_is_empty() {
    assert_eq!(Topology::builder().build().unwrap().topics().count(), 0);
}
