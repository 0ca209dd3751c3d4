//! `outbox-consumer`, as a person starts it.

use std::process::Stdio;

use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::support::{World, updated, within, world};

fn configuration(url: &str, brokers: &str, topic: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let text = format!(
        r#"
        [database]
        url = "{url}"
        [kafka]
        brokers = "{brokers}"
        [consumer]
        group = "{topic}"
        session_timeout = "6s"
        [[consumer.topics]]
        name = "{topic}"
        replicas = [{{ model = "Rental", table = "rentals", columns = ["name"] }}]
        "#
    );
    std::fs::write(file.path(), text).unwrap();
    file
}

fn of(world: &World) -> NamedTempFile {
    configuration(&world.database.url, &world.client.brokers, &world.topic)
}

fn command(file: &NamedTempFile) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox-consumer"));
    command.arg("--config").arg(file.path()).env_remove("DATABASE_URL").env_remove("KAFKA_BROKERS");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The exit code, and what was said.
async fn check(file: &NamedTempFile) -> (i32, String) {
    let output = within("end", command(file).arg("--check").output()).await.unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn each_obstacle_has_its_exit_code_and_its_remedy() {
    let world = world(1).await;
    let (code, said) = check(&of(&world)).await;
    assert_eq!(code, 0, "{said}");

    let away = configuration(&world.database.url, "127.0.0.1:1", &world.topic);
    let (code, said) = check(&away).await;
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("remedy: check that the brokers run"), "{said}");

    sqlx::raw_sql("alter table rentals drop column name")
        .execute(&world.database.pool)
        .await
        .unwrap();
    let (code, said) = check(&of(&world)).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains(r#"alter table "rentals" add column "name" text;"#), "{said}");

    sqlx::raw_sql("drop schema dionysus cascade").execute(&world.database.pool).await.unwrap();
    let (code, said) = check(&of(&world)).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("dionysus migrate"), "{said}");

    let nothing = configuration("", "", "no topic");
    let (code, said) = check(&nothing).await;
    assert_eq!(code, 2, "{said}");
    for part in ["database.url", "kafka.brokers", "`no topic` is not a topic name"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_applies_messages_until_it_is_told_to_end() {
    let world = world(1).await;
    world.publish(&[updated(1, "a", 1)]).await;
    let file = of(&world);
    let mut consumer = command(&file).stderr(Stdio::null()).spawn().unwrap();
    let arrived = async {
        while world.names().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    within("row", arrived).await;
    let pid = consumer.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert_eq!(within("end", consumer.wait()).await.unwrap().code(), Some(0));
}
