//! Apache Kafka, one node in `KRaft` mode, as a child process.

mod jars;
mod node;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

pub use self::jars::KAFKA_VERSION;
use crate::error::{Error, log_tail, text_since};
use crate::port;
use crate::supervisor::{ServerCommand, Signal, Supervised};
use crate::user::{ServerUser, own_folder};

const SERVER: &str = "Apache Kafka";
/// It says this when clients can use it.
const STARTED: &str = "Kafka Server started";
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(50);
/// Chosen ports may be taken before the server listens on them.
const PORT_TRIES: usize = 5;

/// Options of [`Kafka::start`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Properties of the broker, name and value; they win over ours. Example: `("message.max.bytes", "2000000")`.
    pub properties: Vec<(String, String)>,
}

/// A running Apache Kafka broker (and controller) of this process, on a port of 127.0.0.1.
///
/// It ends with this process, even when that is killed: see [`Kafka::stop`] for an end that waits. Dropping the value
/// kills the server and removes its data without waiting.
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    libraries: PathBuf,
    /// Removed by the server's supervisor, which lives until this process or value is gone.
    folder: PathBuf,
    server: Option<Supervised>,
}

impl Kafka {
    /// Fetches the programs if the cache folder has none (54 MB), formats a new data folder and starts the server; about
    /// four seconds.
    ///
    /// # Errors
    /// No Java 17, no Maven where the programs must be fetched first, or a server that does not start: its log is in the error.
    ///
    /// # Cancel safety
    /// A start that is dropped leaves no server and no folder.
    pub async fn start(options: KafkaOptions) -> Result<Self, Error> {
        let libraries = jars::fetched().await?;
        let folder = own_folder("dionysus-kafka-")?;
        let mut kafka = Self {
            bootstrap: String::new(),
            libraries,
            folder: folder.path().to_owned(),
            server: None,
        };
        for attempt in 1.. {
            let (broker, controller) = (port::free()?, port::free()?);
            node::configure(folder.path(), broker, controller, &options)?;
            if attempt == 1 {
                node::format(&kafka.libraries, folder.path()).await?;
            }
            kafka.bootstrap = format!("127.0.0.1:{broker}");
            match kafka.run().await {
                Err(Error::EndedAtStart { log, .. })
                    if attempt < PORT_TRIES && log.contains("Address already in use") =>
                {
                    if let Some(ended) = kafka.server.take() {
                        ended.leave().await;
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        // From here on the supervisor alone removes the folder.
        drop(folder.keep());
        Ok(kafka)
    }

    /// `host:port`, for `bootstrap.servers`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The process id of the server; `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().filter(|server| !server.has_exited()).map(Supervised::pid)
    }

    /// The server's log file. It goes with the server.
    pub fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// Ends the server at once (`SIGKILL`). Data and port stay; [`Kafka::restart`] recovers.
    ///
    /// # Cancel safety
    /// Once called, the server ends, whether waited for or not.
    pub async fn kill(&mut self) {
        if let Some(server) = &mut self.server {
            server.end(Signal::Kill, STOP_LIMIT).await;
        }
    }

    /// Starts the server again on the same data and port, after a clean shutdown if it runs.
    ///
    /// # Errors
    /// The server does not start: its log is in the error. It can be tried again.
    pub async fn restart(&mut self) -> Result<(), Error> {
        if let Some(server) = &mut self.server {
            server.end(Signal::Term, STOP_LIMIT).await;
        }
        self.run().await
    }

    /// Shuts the server down cleanly and removes its data.
    pub async fn stop(mut self) {
        if let Some(mut server) = self.server.take() {
            server.end(Signal::Term, STOP_LIMIT).await;
            server.remove().await;
        }
    }

    /// Starts the server and waits until clients can use it.
    async fn run(&mut self) -> Result<(), Error> {
        let log_before = std::fs::metadata(self.log_file()).map_or(0, |log| log.len());
        let next = Supervised::start(&ServerCommand {
            command: node::command(&self.libraries),
            last_signal: Signal::Kill,
            folder: self.folder.clone(),
            log: self.log_file(),
            user: ServerUser::Ours,
        })
        .await?;
        // Only now that another supervisor would remove the folder may the one before leave it.
        if let Some(before) = self.server.replace(next) {
            before.leave().await;
        }
        self.ready(log_before).await
    }

    async fn ready(&self, log_before: u64) -> Result<(), Error> {
        let deadline = Instant::now() + START_LIMIT;
        let log = || log_tail(&self.log_file(), log_before);
        loop {
            if self.server.as_ref().is_none_or(Supervised::has_exited) {
                return Err(Error::EndedAtStart { server: SERVER, log: log() });
            }
            // A port that answers comes earlier than a broker that may lead partitions.
            if text_since(&self.log_file(), log_before).is_ok_and(|log| log.contains(STARTED)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady { server: SERVER, waited: START_LIMIT, log: log() });
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }
}
