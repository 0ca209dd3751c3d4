//! `dionysus topics`: what applications have registered, and what Kafka has of it.

use std::collections::BTreeMap;

use dionysus_core::GENESIS_SUFFIX;
use dionysus_kafka::{NewTopic, TopicInfo};
use dionysus_postgres::topics::{self, Registered};
use dionysus_service::{Exit, Report};
use serde_json::json;
use sqlx::PgPool;

use crate::args::CreateTopics;
use crate::settings::Settings;
use crate::table::Table;
use crate::{output, reports};

/// What a topic accepts when nobody says otherwise (Kafka's `max.message.bytes`).
const KAFKA_MAX_MESSAGE_BYTES: u64 = 1_048_588;

/// Room beside key and value in a batch of one message: its head, and headers.
const BATCH_OVERHEAD_BYTES: u64 = 16 * 1024;

pub(super) async fn list(settings: &Settings, json: bool) -> Result<(), Report> {
    let kafka = settings.kafka()?;
    let pool = settings.migrated_database().await?;
    let registered = topics::all(&pool).await.map_err(reports::postgres)?;
    let present = kafka.topics().await.map_err(reports::kafka)?;
    let partitions = |topic: &str| present.get(topic).map(|info| info.partitions);
    if json {
        let rows: Vec<_> = registered
            .iter()
            .map(|topic| {
                let twin = twin(topic)
                    .map(|name| json!({ "partitions": partitions(&name), "topic": name }));
                json!({
                    "topic": topic.name,
                    "namespace": topic.namespace,
                    "models": models(topic),
                    "partitions": partitions(&topic.name),
                    "genesis": twin,
                })
            })
            .collect();
        return output::print_json(&json!({ "topics": rows }));
    }
    if registered.is_empty() {
        return output::print(
            "no topics are registered: start an application that declares some\n",
        );
    }
    let mut table = Table::new(["topic", "kind", "models", "partitions"]);
    let shown = |topic: &str| partitions(topic).map_or_else(|| "missing".into(), |n| n.to_string());
    for topic in &registered {
        table.row([
            topic.name.clone(),
            "primary".into(),
            models(topic).join(", "),
            shown(&topic.name),
        ]);
        if let Some(twin) = twin(topic) {
            table.row([twin.clone(), "genesis".into(), String::new(), shown(&twin)]);
        }
    }
    output::print(&table.to_string())
}

pub(super) async fn create(settings: &Settings, wanted: &CreateTopics) -> Result<(), Report> {
    let kafka = settings.kafka()?;
    let pool = settings.migrated_database().await?;
    let registered = registered(&pool).await?;
    let present = kafka.topics().await.map_err(reports::kafka)?;
    let primary =
        missing(registered.iter().map(|topic| (topic.name.clone(), topic)), &present, wanted);
    let mut created = kafka.create_topics(&primary).await.map_err(reports::kafka)?;

    // A twin is read in place of its topic: as many partitions, also where the brokers chose the number.
    let present = kafka.topics().await.map_err(reports::kafka)?;
    let twins = registered.iter().filter_map(|topic| Some((twin(topic)?, topic)));
    let twins: Vec<NewTopic> = missing(twins, &present, wanted)
        .into_iter()
        .map(|twin| NewTopic {
            partitions: partitions_of_primary(&twin.name, &present).unwrap_or(twin.partitions),
            config: compacted(twin.config),
            ..twin
        })
        .collect();
    created.extend(kafka.create_topics(&twins).await.map_err(reports::kafka)?);
    created.sort();

    if wanted.json {
        return output::print_json(&json!({ "created": created }));
    }
    if created.is_empty() {
        return output::print("all registered topics exist\n");
    }
    output::print(&format!("created {}\n", created.join("\ncreated ")))
}

async fn registered(pool: &PgPool) -> Result<Vec<Registered>, Report> {
    let registered = topics::all(pool).await.map_err(reports::postgres)?;
    if registered.is_empty() {
        let report = Report::new(Exit::Failure, "no topics are registered in this database");
        return Err(report.remedy("start an application that declares topics; it registers them when it connects its outbox"));
    }
    Ok(registered)
}

fn missing<'a>(
    topics: impl Iterator<Item = (String, &'a Registered)>,
    present: &BTreeMap<String, TopicInfo>,
    wanted: &CreateTopics,
) -> Vec<NewTopic> {
    topics
        .filter(|(name, _)| !present.contains_key(name))
        .map(|(name, registered)| NewTopic {
            name,
            partitions: wanted.partitions.unwrap_or(0),
            replication: wanted.replication.unwrap_or(0),
            config: sized(registered),
        })
        .collect()
}

/// A topic that is to carry messages beyond Kafka's default must accept them.
fn sized(topic: &Registered) -> BTreeMap<String, String> {
    let declared = topic.topology["max_message_bytes"].as_u64().unwrap_or(0);
    let needed = declared.saturating_add(BATCH_OVERHEAD_BYTES);
    if needed <= KAFKA_MAX_MESSAGE_BYTES {
        return BTreeMap::new();
    }
    BTreeMap::from([("max.message.bytes".to_owned(), needed.to_string())])
}

/// A twin holds the newest snapshot of each instance, for ever.
fn compacted(mut config: BTreeMap<String, String>) -> BTreeMap<String, String> {
    config.insert("cleanup.policy".into(), "compact".into());
    config
}

fn twin(topic: &Registered) -> Option<String> {
    topic.genesis_replica.then(|| format!("{}{GENESIS_SUFFIX}", topic.name))
}

fn partitions_of_primary(twin: &str, present: &BTreeMap<String, TopicInfo>) -> Option<u32> {
    present.get(twin.strip_suffix(GENESIS_SUFFIX)?).map(|primary| primary.partitions)
}

fn models(topic: &Registered) -> Vec<&str> {
    let models = topic.topology["models"].as_array().map_or(&[][..], Vec::as_slice);
    models.iter().filter_map(|model| model["model"].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(max_message_bytes: u64) -> Registered {
        Registered {
            name: "v3_rentals".into(),
            namespace: "v3".into(),
            genesis_replica: true,
            topology: json!({ "max_message_bytes": max_message_bytes, "models": [{ "model": "Rental" }, { "model": "Fee" }] }),
        }
    }

    #[test]
    fn large_messages_need_a_topic_that_accepts_them() {
        assert!(sized(&registered(998_976)).is_empty());
        assert_eq!(sized(&registered(5_000_000))["max.message.bytes"], "5016384");
    }

    #[test]
    fn a_twin_is_named_after_its_topic_and_counts_its_partitions() {
        let present = BTreeMap::from([("v3_rentals".to_owned(), TopicInfo { partitions: 12 })]);
        let twin = twin(&registered(1)).unwrap();
        assert_eq!(twin, "v3_rentals_genesis");
        assert_eq!(partitions_of_primary(&twin, &present), Some(12));
    }

    #[test]
    fn models_are_those_of_the_registered_topology() {
        assert_eq!(models(&registered(1)), ["Rental", "Fee"]);
    }
}
