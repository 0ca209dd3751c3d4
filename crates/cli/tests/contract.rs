//! `dionysus topics --asyncapi` and `dionysus topics diff`.

use std::io::Write as _;
use std::process::{Output, Stdio};

use dionysus_embedded::testing;
use dionysus_postgres::topics::{self, Registration};
use serde_json::{Value, json};

use super::{command, dionysus, stderr, stdout};

fn rentals(name: &str, attributes: &Value) -> Registration {
    let required: Vec<&String> = attributes.as_object().unwrap().keys().collect();
    let schema = json!({ "type": "object", "required": required, "properties": attributes });
    Registration {
        name: name.to_owned(),
        namespace: "v3".into(),
        genesis_replica: true,
        topology: json!({ "format": 1, "max_message_bytes": 998_976, "models": [{
            "model": "Rental",
            "primary_key": "id",
            "columns": [{ "name": "id", "column": "id" }],
            "soft_delete": "canceled_at",
            "partition_key": { "attribute": "account_id", "integer": false },
            "schema": schema,
        }] }),
    }
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = command(arguments, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn a_document_is_printed_from_the_database_alone_and_compared_with_a_later_one() {
    let database = testing::database().await;
    let url = [("DATABASE_URL", database.url.as_str())];
    stdout(&dionysus(&["migrate"], &url));
    let register = async |name: &str, attributes: &Value| {
        let mut connection = database.pool.acquire().await.unwrap();
        topics::register(&mut connection, &[rentals(name, attributes)]).await.unwrap();
    };
    let old = json!({ "id": { "type": "integer" }, "name": { "type": "string" }, "links": { "type": "object" } });
    register("v3_rentals", &old).await;
    register("v3_others", &old).await;

    let all = super::json(&dionysus(&["topics", "--asyncapi"], &url));
    let channels: Vec<&String> = all["channels"].as_object().unwrap().keys().collect();
    assert_eq!(channels, ["v3_others", "v3_others_genesis", "v3_rentals", "v3_rentals_genesis"]);
    let snapshot = &all["components"]["schemas"]["v3_rentals.Rental"]["properties"];
    let attributes: Vec<&String> = snapshot.as_object().unwrap().keys().collect();
    assert_eq!(attributes, ["id", "name", "links"], "in the order on the wire");

    let file = std::env::temp_dir().join(format!("dionysus-{}.json", uuid::Uuid::new_v4()));
    let path = file.to_str().unwrap();
    let wanted = ["topics", "--asyncapi", "--topic", "v3_rentals_genesis", "--out", path];
    assert_eq!(stdout(&dionysus(&wanted, &url)), format!("wrote {path}\n"));
    let one: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(one["channels"].as_object().unwrap().len(), 2);

    let same = ["topics", "diff", path, path];
    assert_eq!(stdout(&dionysus(&same, &[])), "no changes\n");
    let added = dionysus(&["topics", "diff", path, "database"], &url);
    assert_eq!(
        stdout(&added),
        "EFFECT      TOPIC      MODEL  PLACE  CHANGE\n\
         compatible  v3_others  -      -      the topic is new\n"
    );

    let new = json!({ "id": { "type": "integer" }, "name": { "type": ["string", "null"] }, "price": {}, "links": { "type": "object" } });
    register("v3_rentals", &new).await;
    let broken = dionysus(&["topics", "diff", path, "database"], &url);
    let told = stderr(&broken, 1);
    assert!(told.starts_with("error: 1 change breaks consumers\n  remedy: publish "), "{told}");
    let table = String::from_utf8(broken.stdout).unwrap();
    assert!(
        table.contains("\nbreaking    v3_rentals  Rental  name   null can come now\n"),
        "{table}"
    );

    let document = stdout(&dionysus(&["topics", "--asyncapi", "--topic", "v3_rentals"], &url));
    let compared = with_input(&["topics", "diff", path, "-", "--json"], &document);
    assert_eq!(compared.status.code(), Some(1));
    let expected = json!({
        "breaking": [{
            "topic": "v3_rentals", "model": "Rental", "place": "name", "change": "null_added", "detail": "null can come now", "breaking": true,
        }],
        "compatible": [{
            "topic": "v3_rentals", "model": "Rental", "place": "price", "change": "attribute_added", "detail": "the attribute is new: any value",
            "breaking": false,
        }],
    });
    assert_eq!(serde_json::from_slice::<Value>(&compared.stdout).unwrap(), expected);
    let back = with_input(&["topics", "diff", "-", path, "--json"], &document);
    let back: Value = serde_json::from_slice(&back.stdout).unwrap();
    assert_eq!(back["breaking"][0]["change"], "attribute_removed");
    assert_eq!(back["compatible"][0]["change"], "null_removed");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn numbers_of_partitions_are_told_where_brokers_are_named() {
    let database = testing::database().await;
    let brokers = testing::brokers().await;
    let environment =
        [("DATABASE_URL", database.url.as_str()), ("KAFKA_BROKERS", brokers.as_str())];
    stdout(&dionysus(&["migrate"], &environment));
    let topic = testing::topic("contract");
    let mut connection = database.pool.acquire().await.unwrap();
    topics::register(&mut connection, &[rentals(&topic, &json!({}))]).await.unwrap();
    let create = ["topics", "create", "--partitions", "3", "--replication", "1"];
    stdout(&dionysus(&create, &environment));
    let document = super::json(&dionysus(&["topics", "--asyncapi"], &environment));
    let partitions =
        |channel: &str| document["channels"][channel]["bindings"]["kafka"]["partitions"].clone();
    assert_eq!((partitions(&topic), partitions(&format!("{topic}_genesis"))), (json!(3), json!(3)));

    let unreachable = [("DATABASE_URL", database.url.as_str()), ("KAFKA_BROKERS", "127.0.0.1:1")];
    stderr(&dionysus(&["topics", "--asyncapi"], &unreachable), 4);
}

#[tokio::test]
async fn a_topic_that_is_not_registered_is_told_with_those_that_are() {
    let database = testing::database().await;
    let url = [("DATABASE_URL", database.url.as_str())];
    stdout(&dionysus(&["migrate"], &url));
    let wanted = ["topics", "--asyncapi", "--topic", "v3_rental"];
    let told = stderr(&dionysus(&wanted, &url), 1);
    assert!(told.contains("remedy: start an application"), "{told}");
    let mut connection = database.pool.acquire().await.unwrap();
    topics::register(&mut connection, &[rentals("v3_rentals", &json!({}))]).await.unwrap();
    let told = stderr(&dionysus(&wanted, &url), 1);
    assert!(told.starts_with("error: the topic `v3_rental` is not registered"), "{told}");
    assert!(told.contains("remedy: registered are v3_rentals"), "{told}");
}

#[test]
fn a_document_that_cannot_be_read_is_no_breaking_change() {
    let missing = stderr(&dionysus(&["topics", "diff", "/nowhere", "-"], &[]), 2);
    assert!(missing.starts_with("error: `/nowhere` cannot be read\n  cause: "), "{missing}");
    for (input, cause) in [("{", "EOF"), ("{}", "this is not an AsyncAPI 3 document\n  remedy: ")] {
        let output = with_input(&["topics", "diff", "-", "database"], input);
        let told = stderr(&output, 2);
        assert!(told.contains(&format!("cause: {cause}")), "{told}");
    }
    assert_eq!(dionysus(&["topics", "diff", "-", "-"], &[]).status.code(), Some(2));
    let help = stdout(&dionysus(&["topics", "diff", "--help"], &[]));
    assert!(help.contains("\n  1    a breaking change\n"), "{help}");
}
