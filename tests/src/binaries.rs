//! The binaries as the tests run them: what differs from their defaults.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use crate::Process;

/// What a binary says beside its test's figures.
const LOG_FILTER: &str = "warn,librdkafka=error";

/// `outbox-relay`.
#[derive(Clone, Debug)]
pub struct RelayProcess {
    /// `DATABASE_URL`.
    pub database_url: String,
    /// `KAFKA_BROKERS`.
    pub brokers: String,
    /// Its name in `dionysus.relays`.
    pub name: String,
    /// Its lease.
    pub lease_ttl: Duration,
}

impl RelayProcess {
    /// A relay named `relay` with a lease of 2 s: with less, a busy machine may keep an acknowledgement back for so long that the relay starts
    /// again, and repeats records without a fault.
    pub fn new(database_url: &str, brokers: &str) -> Self {
        Self {
            database_url: database_url.to_owned(),
            brokers: brokers.to_owned(),
            name: "relay".to_owned(),
            lease_ttl: Duration::from_secs(2),
        }
    }

    /// Another name.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// Starts one.
    ///
    /// # Errors
    /// As for [`Process::start`].
    pub fn start(&self) -> Result<Process> {
        let ttl = format!("{}ms", self.lease_ttl.as_millis());
        Process::start(
            "outbox-relay",
            &[],
            &[
                ("DATABASE_URL", &self.database_url),
                ("KAFKA_BROKERS", &self.brokers),
                ("DIONYSUS_RELAY__NAME", &self.name),
                ("DIONYSUS_RELAY__LEASE_TTL", &ttl),
                ("DIONYSUS_LOG__FILTER", LOG_FILTER),
            ],
        )
    }
}

/// `outbox-consumer`, folding topics into tables with the columns of their models.
#[derive(Debug)]
pub struct ConsumerProcess {
    database_url: String,
    brokers: String,
    config: NamedTempFile,
    /// Empty: no endpoint.
    listen: String,
}

/// A topic, the model in it, and the table that takes it.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaOf<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The model's name on the wire.
    pub model: &'a str,
    /// The table. Its id is `synced_id`.
    pub table: &'a str,
    /// Its other columns, named as the attributes.
    pub columns: &'a [&'a str],
}

impl ConsumerProcess {
    /// A consumer that writes to `database_url`, with progress under the name `group`.
    ///
    /// # Errors
    /// When its configuration can't be written.
    pub fn new(
        database_url: &str,
        brokers: &str,
        group: &str,
        replicas: &[ReplicaOf<'_>],
    ) -> Result<Self> {
        // Shorter sessions are refused by brokers.
        let mut text = format!("[consumer]\ngroup = \"{group}\"\nsession_timeout = \"6s\"\n");
        for ReplicaOf { topic, model, table, columns } in replicas {
            write!(
                text,
                "[[consumer.topics]]\nname = \"{topic}\"\nreplicas = [{{ model = \"{model}\", table = \"{table}\", columns = {columns:?} }}]\n"
            )?;
        }
        let config = NamedTempFile::new()?;
        std::fs::write(config.path(), text)?;
        Ok(Self {
            database_url: database_url.to_owned(),
            brokers: brokers.to_owned(),
            config,
            listen: String::new(),
        })
    }

    /// With an endpoint there.
    #[must_use]
    pub fn listening(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Its configuration file.
    ///
    /// # Errors
    /// When its path is no text.
    pub fn config(&self) -> Result<&str> {
        self.config.path().to_str().context("a path that is no text")
    }

    /// Starts one.
    ///
    /// # Errors
    /// As for [`Process::start`].
    pub fn start(&self) -> Result<Process> {
        Process::start("outbox-consumer", &["--config", self.config()?], &self.variables())
    }

    /// As [`start`](Self::start), with its output in a file.
    ///
    /// # Errors
    /// As for [`Process::start_logging`].
    pub fn start_logging(&self, file: &Path) -> Result<Process> {
        let arguments = ["--config", self.config()?];
        Process::start_logging("outbox-consumer", &arguments, &self.variables(), file)
    }

    fn variables(&self) -> [(&str, &str); 4] {
        [
            ("DATABASE_URL", &self.database_url),
            ("KAFKA_BROKERS", &self.brokers),
            ("DIONYSUS_LOG__FILTER", LOG_FILTER),
            ("DIONYSUS_HTTP__LISTEN", &self.listen),
        ]
    }
}
