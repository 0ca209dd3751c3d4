//! `dionysus doctor` and `dionysus topics retire`.

use std::sync::Arc;
use std::time::Duration;

use dionysus_embedded::testing;
use dionysus_kafka::{
    Admin, ClientConfig, DeliveryError, DeliverySink, NewTopic, OutgoingMessage, Publisher,
    PublisherOptions,
};
use serde_json::Value;

use super::{dionysus, register, stderr, stdout};

/// What a check found: its states and words.
fn findings(url: &str, brokers: Option<&str>) -> (i32, Vec<(String, String, String)>) {
    let mut environment = vec![("DATABASE_URL", url)];
    environment.extend(brokers.map(|brokers| ("KAFKA_BROKERS", brokers)));
    let output = dionysus(&["doctor", "--json"], &environment);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let findings = shown["findings"].as_array().unwrap().iter();
    let findings: Vec<_> =
        findings.map(|it| (text(it, "check"), text(it, "state"), text(it, "what"))).collect();
    let healthy = findings.iter().all(|(_, state, _)| state != "fault");
    assert_eq!(shown["healthy"], healthy);
    (output.status.code().unwrap(), findings)
}

fn of<'a>(check: &str, findings: &'a [(String, String, String)]) -> Vec<(&'a str, &'a str)> {
    let of = findings.iter().filter(|(name, ..)| name == check);
    of.map(|(_, state, what)| (state.as_str(), what.as_str())).collect()
}

#[derive(Default)]
struct Acknowledged;

impl DeliverySink for Acknowledged {
    fn delivered(&self, _: usize, outcome: Result<(), DeliveryError>) {
        outcome.unwrap();
    }
}

/// A record as a relay sends it.
async fn publish(brokers: &str, topic: &str, version: &str) {
    let config = ClientConfig::new(brokers);
    let publisher =
        Publisher::new(&config, &PublisherOptions::default(), Arc::new(Acknowledged)).unwrap();
    publisher.refresh_topic(topic).await.unwrap();
    let headers = [("dionysus-version", version.as_bytes())];
    let message = OutgoingMessage {
        topic,
        partition_key: None,
        key: b"Rental:1",
        payload: Some(b"{}"),
        headers: &headers,
    };
    publisher.publish(&message, 0).unwrap();
    publisher.flush(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_database_without_schema_is_the_only_finding() {
    let database = testing::database().await;
    let (code, found) = findings(&database.url, None);
    assert_eq!((code, found.len()), (1, 1));
    assert_eq!((&*found[0].0, &*found[0].1), ("schema", "fault"));
}

#[tokio::test]
async fn what_is_wrong_is_told_at_once_with_what_to_do() {
    let database = testing::database().await;
    let url = [("DATABASE_URL", database.url.as_str())];
    stdout(&dionysus(&["migrate"], &url));
    let (code, found) = findings(&database.url, None);
    assert_eq!(code, 0, "{found:?}");
    assert_eq!(of("topics", &found), [("note", "not looked at: KAFKA_BROKERS is not set")]);

    register(&database, "v3_rentals").await;
    let text = dionysus(&["doctor"], &url);
    assert!(stderr(&text, 1).starts_with("error: 1 thing is wrong"), "{text:?}");
    let shown = String::from_utf8(text.stdout).unwrap();
    assert!(shown.contains("lanes: no relay runs\n  remedy: start `outbox-relay`"), "{shown}");

    sqlx::query(
        "insert into dionysus.outbox (created_at, event_id, topic, key, event, model, model_id, payload)
         values (now() - interval '10 days', gen_random_uuid(), 'v3_rentals', 'Rental:1', 'rental_updated', 'Rental', '1', '{}')",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let (_, found) = findings(&database.url, None);
    let (state, what) = of("retention", &found)[0];
    assert_eq!(state, "fault");
    assert!(what.contains("lane `v3_rentals` has not passed"), "{what}");
    assert!(of("lanes", &found).iter().any(|(_, what)| what.contains("v3_rentals is behind")));
}

#[tokio::test]
async fn topics_and_what_they_hold_are_compared_with_the_database() {
    let database = testing::database().await;
    let brokers = testing::brokers().await;
    let url = [("DATABASE_URL", database.url.as_str())];
    let environment = [url[0], ("KAFKA_BROKERS", brokers.as_str())];
    stdout(&dionysus(&["migrate"], &url));
    let topic = testing::topic("doctor");
    register(&database, &topic).await;
    let (_, found) = findings(&database.url, Some(&brokers));
    assert_eq!(of("topics", &found).len(), 2, "the topic and its twin are missing: {found:?}");

    let admin = Admin::new(&ClientConfig::new(&brokers)).unwrap();
    let new = |name: String, partitions| NewTopic { name, partitions, ..NewTopic::default() };
    let topics = [new(topic.clone(), 2), new(format!("{topic}_genesis"), 1)];
    admin.create_topics(&topics).await.unwrap();
    let (_, found) = findings(&database.url, Some(&brokers));
    let topics = of("topics", &found);
    assert!(topics[0].1.ends_with("has 1 partitions, its topic 2"), "{topics:?}");
    assert!(topics[1].1.contains("is not compacted"), "{topics:?}");
    assert_eq!(of("numbers", &found)[0].0, "ok");

    let version = (2_i64 << 48) + 7;
    publish(&brokers, &topic, &version.to_string()).await;
    let (_, found) = findings(&database.url, Some(&brokers));
    let (state, what) = of("numbers", &found)[0];
    assert!(state == "fault" && what.contains(&version.to_string()), "{what}");
    let begun = stdout(&dionysus(&["doctor", "--new-timeline"], &environment));
    assert!(
        begun.starts_with("timeline 3 has begun: 0 rows that wait have new numbers, 1 lanes"),
        "{begun}"
    );
    let (_, found) = findings(&database.url, Some(&brokers));
    assert_eq!(of("numbers", &found)[0].0, "ok");
}

#[tokio::test]
async fn a_topic_is_retired_only_when_it_is_said_twice() {
    let database = testing::database().await;
    let url = [("DATABASE_URL", database.url.as_str())];
    stdout(&dionysus(&["migrate"], &url));
    register(&database, "v3_rentals").await;
    let unknown = dionysus(&["topics", "retire", "v3_other"], &url);
    assert!(stderr(&unknown, 1).contains("topic `v3_other` is not registered"), "{unknown:?}");
    let asked = dionysus(&["topics", "retire", "v3_rentals"], &url);
    assert!(stderr(&asked, 1).contains("retire v3_rentals --yes"), "{asked:?}");
    let told = String::from_utf8_lossy(&asked.stdout);
    assert!(told.starts_with("v3_rentals would be retired: 0 rows that wait"), "{told}");
    let done = stdout(&dionysus(&["topics", "retire", "v3_rentals", "--yes"], &url));
    assert_eq!(done, "v3_rentals is retired: its lane is gone\n");
    assert!(stdout(&dionysus(&["status"], &url)).starts_with("no lanes"));
}
