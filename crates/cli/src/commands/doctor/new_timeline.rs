//! `dionysus doctor --new-timeline`: a person has decided to go on with this server.

use dionysus_kafka::last_versions;
use dionysus_postgres::timeline::{self, Begun};
use dionysus_postgres::topics;
use dionysus_service::{Exit, Report};
use serde_json::json;
use sqlx::PgPool;

use crate::settings::Settings;
use crate::{output, reports};

pub(super) async fn run(settings: &Settings, json: bool) -> Result<(), Report> {
    let pool = settings.migrated_database().await?;
    let at_least = if settings.names_brokers() { above(settings, &pool).await? } else { 0 };
    let begun = timeline::begin(&pool, at_least, None).await.map_err(reports::postgres)?;
    let Some(Begun { timeline, renumbered, lanes }) = begun else {
        return Err(Report::new(Exit::Failure, "somebody else has just started a timeline"));
    };
    if json {
        return output::print_json(
            &json!({ "timeline": timeline, "renumbered": renumbered, "lanes": lanes }),
        );
    }
    output::print(&format!(
        "timeline {timeline} has begun: {renumbered} rows that wait have new numbers, {lanes} lanes stand before them\n\
         start the relays; then start a genesis run of each topic, since replicas may hold what this database has lost\n"
    ))?;
    if settings.names_brokers() {
        return Ok(());
    }
    output::print(
        "KAFKA_BROKERS is not set: how far the topics have come was not looked at. If this server was restored before from the same \
         backup, run it again with the brokers\n",
    )
}

/// The first timeline above everything that Kafka has.
async fn above(settings: &Settings, pool: &PgPool) -> Result<i64, Report> {
    let present = settings.kafka()?.topics().await.map_err(reports::kafka)?;
    let registered = topics::all(pool).await.map_err(reports::postgres)?;
    let known = registered
        .into_iter()
        .filter_map(|topic| Some((topic.name.clone(), present.get(&topic.name)?.partitions)));
    let versions = last_versions(&settings.kafka_client(), known.collect()).await;
    let versions = versions.map_err(reports::kafka)?;
    Ok(versions.iter().map(|(_, version)| timeline::above(*version)).max().unwrap_or(0))
}
