//! `dionysus topics --asyncapi` and `dionysus topics diff`: what topics carry, and what changed.

use std::io::Read as _;

use dionysus_core::contract::{self, Change, TopicContract};
use dionysus_postgres::topics;
use dionysus_service::{Exit, Report};
use serde_json::{Value, json};

use crate::args::{Contract, ContractSource, DiffContracts};
use crate::settings::Settings;
use crate::table::Table;
use crate::{output, reports};

pub(super) async fn print(settings: &Settings, wanted: &Contract) -> Result<(), Report> {
    if !wanted.asyncapi {
        return Err(Report::new(Exit::Config, "`dionysus topics` was not told what to do")
            .remedy("add `--asyncapi`, `list`, `create` or `diff`; see `dionysus topics --help`"));
    }
    let topics = selected(registered(settings).await?, &wanted.topics)?;
    let document = contract::document(&topics);
    let Some(file) = &wanted.out else { return output::print_json(&document) };
    std::fs::write(file, format!("{document:#}\n")).map_err(|error| {
        let message = format!("`{}` cannot be written", file.display());
        Report::new(Exit::Failure, message).caused_by(error)
    })?;
    output::print(&format!("wrote {}\n", file.display()))
}

pub(super) async fn diff(
    settings: impl Fn() -> Result<Settings, Report>,
    wanted: &DiffContracts,
) -> Result<(), Report> {
    if wanted.old == ContractSource::Stdin && wanted.new == ContractSource::Stdin {
        return Err(Report::new(Exit::Config, "the standard input can be one document, not both"));
    }
    let old = load(&settings, &wanted.old).await?;
    let new = load(&settings, &wanted.new).await?;
    let (breaking, compatible): (Vec<Change>, Vec<Change>) =
        contract::diff(&old, &new).into_iter().partition(|change| change.breaking);
    if wanted.json {
        output::print_json(&json!({ "breaking": breaking, "compatible": compatible }))?;
    } else if breaking.is_empty() && compatible.is_empty() {
        output::print("no changes\n")?;
    } else {
        output::print(&table(breaking.iter().chain(&compatible)).to_string())?;
    }
    match breaking.len() {
        0 => Ok(()),
        1 => Err(broken("1 change breaks consumers")),
        count => Err(broken(&format!("{count} changes break consumers"))),
    }
}

fn broken(message: &str) -> Report {
    Report::new(Exit::Failure, message).remedy(
        "publish the new form in a new namespace beside the old one, until all consumers have moved",
    )
}

fn table<'a>(changes: impl Iterator<Item = &'a Change>) -> Table {
    let mut table = Table::new(["effect", "topic", "model", "place", "change"]);
    for change in changes {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        table.row([
            if change.breaking { "breaking" } else { "compatible" }.into(),
            change.topic.clone(),
            or_dash(&change.model),
            or_dash(&change.place),
            change.detail.clone(),
        ]);
    }
    table
}

async fn load(
    settings: &impl Fn() -> Result<Settings, Report>,
    source: &ContractSource,
) -> Result<Vec<TopicContract>, Report> {
    let (name, bytes) = match source {
        ContractSource::Database => return registered(&settings()?).await,
        ContractSource::Stdin => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            ("the standard input".to_owned(), read.map(|_| bytes))
        }
        ContractSource::File(file) => (format!("`{}`", file.display()), std::fs::read(file)),
    };
    let unreadable = || Report::new(Exit::Config, format!("{name} cannot be read"));
    let bytes = bytes.map_err(|error| unreadable().caused_by(error))?;
    let document: Value =
        serde_json::from_slice(&bytes).map_err(|error| unreadable().caused_by(error))?;
    contract::read(&document).map_err(|error| {
        let report = unreadable();
        match error.remedy() {
            Some(remedy) => report.caused_by(error).remedy(remedy),
            None => report.caused_by(error),
        }
    })
}

/// What the database knows, and Kafka's numbers of partitions where brokers are named.
async fn registered(settings: &Settings) -> Result<Vec<TopicContract>, Report> {
    let pool = settings.migrated_database().await?;
    let registered = topics::all(&pool).await.map_err(reports::postgres)?;
    let mut contracts: Vec<TopicContract> = registered
        .iter()
        .map(|topic| {
            let (name, namespace) = (&topic.name, &topic.namespace);
            TopicContract::registered(name, namespace, topic.genesis_replica, &topic.topology)
        })
        .collect();
    if settings.names_brokers() {
        let present = settings.kafka()?.topics().await.map_err(reports::kafka)?;
        for contract in &mut contracts {
            contract.partitions = present.get(&contract.name).map(|topic| topic.partitions);
        }
    }
    Ok(contracts)
}

/// Those that were asked for, also by the name of their twin; all when none was.
fn selected(topics: Vec<TopicContract>, wanted: &[String]) -> Result<Vec<TopicContract>, Report> {
    let is_called = |topic: &TopicContract, name: &str| {
        topic.name == name || topic.genesis().is_some_and(|twin| twin == name)
    };
    for name in wanted {
        if !topics.iter().any(|topic| is_called(topic, name)) {
            let known: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
            let remedy = match known.as_slice() {
                [] => "start an application that declares topics; it registers them when it connects its outbox".into(),
                known => format!("registered are {}", known.join(", ")),
            };
            let message = format!("the topic `{name}` is not registered in this database");
            return Err(Report::new(Exit::Failure, message).remedy(remedy));
        }
    }
    let is_wanted = |topic: &TopicContract| {
        wanted.is_empty() || wanted.iter().any(|name| is_called(topic, name))
    };
    Ok(topics.into_iter().filter(is_wanted).collect())
}
