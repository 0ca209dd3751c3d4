//! `dionysus topics retire TOPIC`: ends a lane that would hold retention for ever.

use dionysus_postgres::{lanes, quarantine, topics};
use dionysus_service::{Exit, Report};

use crate::args::RetireTopic;
use crate::settings::Settings;
use crate::{output, reports};

pub(super) async fn run(settings: &Settings, wanted: &RetireTopic) -> Result<(), Report> {
    let RetireTopic { topic, yes } = wanted;
    let pool = settings.migrated_database().await?;
    if *yes {
        topics::retire(&pool, topic).await.map_err(reports::postgres)?;
        return output::print(&format!("{topic} is retired: its lane is gone\n"));
    }
    let lanes = lanes::all(&pool).await.map_err(reports::postgres)?;
    let Some(lane) = lanes.into_iter().find(|lane| lane.topic == *topic) else {
        let error = dionysus_postgres::Error::TopicNotRegistered { topic: topic.clone() };
        return Err(reports::postgres(error));
    };
    let held = quarantine::keys(&pool, std::slice::from_ref(topic)).await;
    let held: u64 = held.map_err(reports::postgres)?.values().flat_map(|keys| keys.values()).sum();
    output::print(&format!(
        "{topic} would be retired: {} rows that wait (counted up to 10,000) and {held} in quarantine would never be published\n",
        lane.pending
    ))?;
    Err(Report::new(Exit::Failure, "nothing was changed").remedy(format!(
        "stop the applications that declare the topic, then run `dionysus topics retire {topic} --yes`"
    )))
}
