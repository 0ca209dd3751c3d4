//! What Kafka says: topics, twins, and how far they have come.

use std::collections::BTreeMap;

use dionysus_core::GENESIS_SUFFIX;
use dionysus_kafka::{Admin, TopicInfo, last_versions};
use dionysus_postgres::timeline;
use dionysus_postgres::topics::{self, Registered};
use dionysus_service::Report;
use sqlx::PgPool;

use super::finding::Finding;
use crate::settings::Settings;

/// Adds what is found. A configuration that is wrong is the caller's error; a cluster that does not answer is a finding.
pub(super) async fn look(
    settings: &Settings,
    pool: &PgPool,
    findings: &mut Vec<Finding>,
) -> Result<(), Report> {
    if !settings.names_brokers() {
        findings.push(Finding::note("topics", "not looked at: KAFKA_BROKERS is not set"));
        return Ok(());
    }
    let kafka = settings.kafka()?;
    let registered = match topics::all(pool).await {
        Ok(registered) => registered,
        Err(error) => {
            findings.push(Finding::of_postgres("topics", &error));
            return Ok(());
        }
    };
    let present = match kafka.topics().await {
        Ok(present) => present,
        Err(error) => {
            findings.push(Finding::of_kafka("topics", &error));
            return Ok(());
        }
    };
    let before = findings.len();
    for topic in &registered {
        of_topic(&kafka, topic, &present, findings).await;
    }
    if findings.len() == before {
        findings.push(Finding::ok(
            "topics",
            format!("{} registered, all are in Kafka", registered.len()),
        ));
    }
    findings.push(numbers(settings, pool, &registered, &present).await);
    Ok(())
}

async fn of_topic(
    kafka: &Admin,
    topic: &Registered,
    present: &BTreeMap<String, TopicInfo>,
    findings: &mut Vec<Finding>,
) {
    const CREATE: &str = "run `dionysus topics create`";
    let missing =
        |name: &str| Finding::fault("topics", format!("Kafka has no topic {name}")).remedy(CREATE);
    let primary = present.get(&topic.name);
    if primary.is_none() {
        findings.push(missing(&topic.name));
    }
    if !topic.genesis_replica {
        return;
    }
    let twin = format!("{}{GENESIS_SUFFIX}", topic.name);
    let Some(found) = present.get(&twin) else {
        findings.push(missing(&twin));
        return;
    };
    if let Some(primary) = primary.filter(|primary| primary.partitions != found.partitions) {
        let what =
            format!("{twin} has {} partitions, its topic {}", found.partitions, primary.partitions);
        findings.push(
            Finding::fault("topics", what)
                .remedy("give both the same number: instances lie in the partition of their key"),
        );
    }
    match kafka.setting(&twin, "cleanup.policy").await {
        Ok(Some(policy)) if !policy.contains("compact") => {
            let what = format!("{twin} is not compacted: it forgets instances that do not change");
            findings.push(
                Finding::fault("topics", what)
                    .remedy(format!("set cleanup.policy=compact on {twin}")),
            );
        }
        Ok(_) => {}
        Err(error) => findings.push(Finding::of_kafka("topics", &error)),
    }
}

/// Whether the database has given every number that Kafka has.
async fn numbers(
    settings: &Settings,
    pool: &PgPool,
    registered: &[Registered],
    present: &BTreeMap<String, TopicInfo>,
) -> Finding {
    let known = registered
        .iter()
        .filter_map(|topic| Some((topic.name.clone(), present.get(&topic.name)?.partitions)));
    match last_versions(&settings.kafka_client(), known.collect()).await {
        Err(error) => Finding::note("numbers", format!("not compared with Kafka's: {error}")),
        Ok(versions) => match timeline::compare(pool, &versions).await {
            Ok(()) => Finding::ok("numbers", "the database has given all that Kafka has"),
            Err(error) => Finding::of_postgres("numbers", &error),
        },
    }
}
