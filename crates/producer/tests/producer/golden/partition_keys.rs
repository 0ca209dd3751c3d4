//! The recording `01b-partition-keys`: one topic for each way to find a partition key, with the compatibility switch on.

use chrono::NaiveDateTime;
use dionysus_core::partition_of;
use dionysus_core::types::Numeric;
use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, Topology};
use sqlx::FromRow;

use super::{Recording, run, text};
use crate::fixture::{Row, migrated, rows};

/// As in the recording.
const PARTITIONS: u32 = 12;

#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Shard", table = "shards")]
struct Shard {
    id: i64,
    #[publishable(hidden)]
    account_id: Option<i64>,
    #[publishable(hidden)]
    code: Option<String>,
    #[publishable(hidden)]
    region: Option<String>,
    #[publishable(hidden)]
    ratio: Option<Numeric>,
    #[publishable(hidden)]
    created_at: NaiveDateTime,
}

fn topology() -> Topology {
    Topology::builder()
        .integer_partition_keys()
        .namespace("v3", |ns| {
            ns.topic("by_default", |t| t.publish::<Shard>())
                .topic("by_id", |t| t.partition_key("id").publish::<Shard>())
                .topic("by_missing", |t| t.partition_key("no_such_attribute").publish::<Shard>())
                .topic("by_uuid", |t| t.partition_key("code").publish::<Shard>())
                .topic("by_region", |t| {
                    t.publish::<Shard>().partition_key_with(|shard: &Shard| shard.region.clone())
                })
                .topic("by_call_int", |t| {
                    // Ruby's integers have any size.
                    t.publish::<Shard>().partition_key_with(|shard: &Shard| {
                        Some((i128::from(shard.id) * 100).to_string())
                    })
                })
                .topic("by_call_nil", |t| t.publish::<Shard>().partition_key_with(|_: &Shard| None))
                .topic("by_decimal", |t| t.partition_key("ratio").publish::<Shard>())
                .topic("by_time", |t| t.partition_key("created_at").publish::<Shard>())
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn partition_keys_of_every_kind_and_their_partitions_are_those_of_the_recording() {
    let recording = Recording::load("01b-partition-keys");
    let database = migrated().await;
    recording.create_table(&database.pool, "shards").await;
    let outbox = Outbox::connect(database.pool.clone(), topology()).await.unwrap();
    for step in recording.steps() {
        run::<Shard>(&outbox, step).await;
    }

    let rows = rows(&database.pool).await;
    let inserted = recording.all("outbox_inserted");
    assert_eq!((rows.len(), inserted.len()), (36, 36));
    for (row, recorded) in rows.iter().zip(inserted) {
        assert_eq!(row.topic, text(recorded, "topic"));
        assert_eq!(row.event, text(recorded, "event_name"), "{}", row.topic);
        assert_eq!(row.model, text(recorded, "resource_class"), "{}", row.topic);
        assert_eq!(row.model_id, text(recorded, "resource_id"), "{}", row.topic);
        assert_eq!(row.partition_key.as_deref(), recorded["partition_key"].as_str(), "{row:?}");
    }

    let messages = recording.all("messages");
    assert_eq!(messages.len(), 36);
    for topic in outbox.topology().topics().map(|topic| topic.name().as_str()) {
        let rows = rows.iter().filter(|row| row.topic == topic);
        let messages = messages.iter().filter(|message| message["topic"] == topic);
        assert_eq!((rows.clone().count(), messages.clone().count()), (4, 4), "{topic}");
        for (row, message) in rows.zip(messages) {
            assert_eq!(row.key, text(message, "key"));
            assert_eq!(row.partition_key.as_deref(), message["partition_key"].as_str(), "{topic}");
            assert_eq!(row.payload, text(message, "payload"), "{topic}");
            assert_eq!(u64::from(partition(row)), message["partition_of_12"], "{row:?}");
        }
    }
}

/// Without partition key librdkafka hashes the message's key; the recording's are ASCII.
fn partition(row: &Row) -> u32 {
    partition_of(row.partition_key.as_deref().unwrap_or(&row.key), PARTITIONS)
}
