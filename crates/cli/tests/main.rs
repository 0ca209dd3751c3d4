//! The binary, as people and scripts meet it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capture;
mod contract;
mod doctor;
mod quarantine;

use std::process::{Command, Output};

use dionysus_embedded::testing::{self, Database};
use dionysus_kafka::{Admin, ClientConfig};
use dionysus_postgres::topics::{self, Registration};
use serde_json::{Value, json};

/// With nothing from our own environment that it would read.
fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dionysus"));
    for name in ["DATABASE_URL", "KAFKA_BROKERS", "DIONYSUS_CONFIG"] {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().copied());
    command
}

fn dionysus(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command(arguments, environment).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap()
}

async fn register(database: &Database, name: &str) {
    let registration = Registration {
        name: name.to_owned(),
        namespace: "v3".into(),
        genesis_replica: true,
        topology: json!({ "format": 1, "models": [{ "model": "Rental" }] }),
    };
    let mut connection = database.pool.acquire().await.unwrap();
    topics::register(&mut connection, &[registration]).await.unwrap();
}

#[tokio::test]
async fn migrate_installs_the_schema_once_and_says_so() {
    let database = testing::database().await;
    let url = [("DATABASE_URL", database.url.as_str())];

    let missing = dionysus(&["migrate", "status"], &url);
    assert!(stderr(&missing, 3).contains("\n  remedy: run `dionysus migrate`"), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stdout).starts_with("VERSION  DESCRIPTION"));
    let sql = stdout(&dionysus(&["migrate", "--dry-run"], &url));
    assert!(sql.starts_with("-- 0001 "), "{sql}");
    assert!(sql.contains("create table dionysus.outbox"), "{sql}");
    assert_eq!(dionysus(&["status"], &url).status.code(), Some(3));

    let installed = stdout(&dionysus(&["migrate"], &url));
    assert!(
        installed.starts_with("the schema `dionysus` was installed at version "),
        "{installed}"
    );
    let again = stdout(&dionysus(&["migrate"], &url));
    assert!(again.starts_with("the schema `dionysus` is up to date at version "), "{again}");
    let migrations = json(&dionysus(&["migrate", "status", "--json"], &url));
    assert!(migrations["migrations"].as_array().unwrap().iter().all(|m| m["applied"] == true));
    assert!(stdout(&dionysus(&["migrate", "--dry-run"], &url)).starts_with("-- nothing to do"));
}

#[tokio::test]
async fn topics_are_created_with_compacted_twins_and_listed() {
    let database = testing::database().await;
    let brokers = testing::brokers().await;
    let environment =
        [("DATABASE_URL", database.url.as_str()), ("KAFKA_BROKERS", brokers.as_str())];
    stdout(&dionysus(&["migrate"], &environment));

    let nothing = dionysus(&["topics", "create"], &environment);
    assert!(stderr(&nothing, 1).starts_with("error: no topics are registered in this database\n"));

    let topic = testing::topic("cli");
    register(&database, &topic).await;
    let listed = stdout(&dionysus(&["topics", "list"], &environment));
    assert!(listed.lines().nth(1).unwrap().ends_with("missing"), "{listed}");

    let create = ["topics", "create", "--partitions", "3", "--replication", "1"];
    let created = stdout(&dionysus(&create, &environment));
    assert_eq!(created, format!("created {topic}\ncreated {topic}_genesis\n"));
    assert_eq!(stdout(&dionysus(&create, &environment)), "all registered topics exist\n");

    let listed = json(&dionysus(&["topics", "list", "--json"], &environment));
    let expected = json!({ "topics": [{
        "topic": topic,
        "namespace": "v3",
        "models": ["Rental"],
        "partitions": 3,
        "genesis": { "partitions": 3, "topic": format!("{topic}_genesis") },
    }] });
    assert_eq!(listed, expected);
    let admin = Admin::new(&ClientConfig::new(brokers)).unwrap();
    let policy = async |topic: &str| admin.setting(topic, "cleanup.policy").await.unwrap().unwrap();
    assert_eq!(policy(&topic).await, "delete");
    assert_eq!(policy(&format!("{topic}_genesis")).await, "compact");
}

#[tokio::test]
async fn status_shows_lanes_without_owner() {
    let database = testing::database().await;
    let url = [("DATABASE_URL", database.url.as_str())];
    stdout(&dionysus(&["migrate"], &url));
    register(&database, "v3_rentals").await;
    let shown = stdout(&dionysus(&["status"], &url));
    assert!(
        shown.contains("\nv3_rentals  -      0      0        -       0            never"),
        "{shown}"
    );
    assert!(shown.ends_with("no relays: start `outbox-relay`\n"), "{shown}");
    let status = json(&dionysus(&["status", "--json"], &url));
    assert_eq!(status["lanes"][0]["topic"], "v3_rentals");
    assert_eq!(status["lanes"][0]["owner"], Value::Null);
    assert_eq!(status["lanes"][0]["quarantined"], 0);
    assert_eq!(status["relays"], json!([]));
}

#[test]
fn a_missing_database_url_is_a_fault_of_the_configuration() {
    let text = stderr(&dionysus(&["status"], &[]), 2);
    assert!(
        text.starts_with("error: the configuration has a fault: database.url: missing;"),
        "{text}"
    );
}

#[test]
fn a_database_that_does_not_answer_ends_with_4_and_shows_no_password() {
    let url = [("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/db")];
    let text = stderr(&dionysus(&["migrate"], &url), 4);
    assert!(text.starts_with("error: Postgres cannot be reached at 127.0.0.1:1/db\n"), "{text}");
    assert!(text.contains("  remedy: "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn brokers_that_do_not_answer_end_with_4() {
    let database = testing::database().await;
    let environment = [("DATABASE_URL", database.url.as_str()), ("KAFKA_BROKERS", "127.0.0.1:1")];
    stdout(&dionysus(&["migrate"], &environment));
    let text = stderr(&dionysus(&["topics", "list"], &environment), 4);
    assert!(text.contains("error: no Kafka broker answers at 127.0.0.1:1\n"), "{text}");
}

#[tokio::test]
async fn a_property_of_ours_is_refused_with_its_reason() {
    let database = testing::database().await;
    let environment = [
        ("DATABASE_URL", database.url.as_str()),
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("DIONYSUS_KAFKA__PROPERTIES__ACKS", "1"),
    ];
    let text = stderr(&dionysus(&["topics", "list"], &environment), 2);
    assert!(text.starts_with("error: the Kafka property `acks` cannot be set: "), "{text}");
}

#[test]
fn wrong_usage_ends_with_2_and_help_lists_the_exit_codes() {
    assert_eq!(dionysus(&["topics", "create", "--partitions", "0"], &[]).status.code(), Some(2));
    for arguments in [&["--help"][..], &["topics", "create", "--help"], &["status", "--help"]] {
        let help = stdout(&dionysus(arguments, &[]));
        assert!(
            help.contains("Exit codes:") && help.contains("  3    the schema is missing"),
            "{help}"
        );
    }
}

#[test]
fn completion_scripts_name_the_commands() {
    let script = stdout(&dionysus(&["completion", "bash"], &[]));
    assert!(script.contains("migrate") && script.contains("topics"), "{script}");
}
