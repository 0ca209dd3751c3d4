//! The servers that tests and people at work use.

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use dionysus_embedded::{
    Broker, Error, KAFKA_VERSION, Kafka, KafkaOptions, Postgres, PostgresOptions,
};
use tokio::process::Command;

pub(crate) const DATABASE_URL: &str = "DATABASE_URL";
pub(crate) const KAFKA_BROKERS: &str = "KAFKA_BROKERS";

/// Which Kafka to start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KafkaKind {
    /// Apache Kafka, fetched with Maven; needs Java 17.
    #[default]
    Real,
    /// The in-process broker: quick, data in memory.
    Embedded,
    /// No Kafka.
    #[value(skip)]
    None,
}

#[derive(Debug)]
enum Brokers {
    Real(Kafka),
    Embedded(Broker),
    Theirs(String),
    None,
}

/// A Postgres and a Kafka: ours, or what the environment names.
#[derive(Debug)]
pub(crate) struct Servers {
    postgres: Option<Postgres>,
    brokers: Brokers,
    database_url: String,
}

impl Servers {
    pub(crate) async fn start(kafka: KafkaKind, durable: bool) -> Result<Self> {
        // Both take their time on another processor.
        let (postgres, brokers) = tokio::join!(postgres(durable), brokers(kafka));
        let postgres = postgres?;
        let database_url = postgres.url().to_owned();
        Ok(Self { postgres: Some(postgres), brokers: brokers?, database_url })
    }

    /// What the environment names, and ours for the rest.
    pub(crate) async fn of_environment_or_start() -> Result<Self> {
        let (url, names) = (variable(DATABASE_URL), variable(KAFKA_BROKERS));
        let kafka = if names.is_some() { KafkaKind::None } else { KafkaKind::Real };
        let mut servers = match url {
            Some(database_url) => {
                Self { postgres: None, brokers: brokers(kafka).await?, database_url }
            }
            None => Self::start(kafka, false).await?,
        };
        if let Some(names) = names {
            servers.brokers = Brokers::Theirs(names);
        }
        Ok(servers)
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(crate) fn kafka_brokers(&self) -> Option<&str> {
        match &self.brokers {
            Brokers::Real(kafka) => Some(kafka.bootstrap()),
            Brokers::Embedded(broker) => Some(broker.bootstrap()),
            Brokers::Theirs(names) => Some(names),
            Brokers::None => None,
        }
    }

    /// What a report calls the brokers.
    pub(crate) fn kafka_name(&self) -> String {
        let at = self.kafka_brokers().unwrap_or("nowhere");
        match &self.brokers {
            Brokers::Real(_) => format!("Apache Kafka {KAFKA_VERSION} at {at}"),
            Brokers::Embedded(_) => format!("the embedded broker at {at}"),
            Brokers::Theirs(_) | Brokers::None => format!("the brokers of {KAFKA_BROKERS} at {at}"),
        }
    }

    /// The server we started, for what needs its programs.
    pub(crate) fn postgres(&self) -> Option<&Postgres> {
        self.postgres.as_ref()
    }

    /// Tells a command about the servers.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env(DATABASE_URL, self.database_url());
        if let Some(brokers) = self.kafka_brokers() {
            command.env(KAFKA_BROKERS, brokers);
        }
    }

    pub(crate) async fn stop(self) {
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
        if let Brokers::Real(kafka) = self.brokers {
            kafka.stop().await;
        }
    }
}

async fn postgres(durable: bool) -> Result<Postgres> {
    let settings = vec![("max_connections".to_owned(), "400".to_owned())];
    let options = PostgresOptions { settings, durable, ..PostgresOptions::default() };
    Postgres::start(options).await.map_err(explained).context("cannot start Postgres")
}

async fn brokers(kind: KafkaKind) -> Result<Brokers> {
    let started = match kind {
        KafkaKind::Real => Kafka::start(KafkaOptions::default()).await.map(Brokers::Real),
        KafkaKind::Embedded => Broker::start().await.map(Brokers::Embedded),
        KafkaKind::None => Ok(Brokers::None),
    };
    started.map_err(explained).context("cannot start Kafka")
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn explained(error: Error) -> anyhow::Error {
    anyhow::Error::msg(error.explained())
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty())
}
