//! What can go wrong, and what to do about it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{binaries, cache};

/// Why a server could not be started or used. [`Error::remedy`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder with `initdb` and `postgres`.
    #[error("no postgres programs in {}", list(searched))]
    PostgresMissing {
        /// Where they were looked for.
        searched: Vec<PathBuf>,
    },
    /// Postgres could not be fetched.
    #[error("cannot download postgres {version} from Maven Central")]
    Download {
        /// The version asked for.
        version: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Apache Kafka could not be fetched.
    #[error("cannot fetch Apache Kafka {version} with maven: {output}")]
    KafkaFetch {
        /// The version asked for.
        version: &'static str,
        /// The end of what Maven said.
        output: String,
    },
    /// A program that prepares a server refused.
    #[error("{program} failed: {output}")]
    Prepare {
        /// The program.
        program: &'static str,
        /// The end of what it said.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("{server} ended while it started, the end of its log: {log}")]
    EndedAtStart {
        /// Which server.
        server: &'static str,
        /// The end of its log.
        log: String,
    },
    /// The server is not ready after a generous time.
    #[error("{server} is not ready after {} s, the end of its log: {log}", waited.as_secs())]
    NotReady {
        /// Which server.
        server: &'static str,
        /// How long it was given.
        waited: Duration,
        /// The end of its log.
        log: String,
    },
    /// A program could not be started at all.
    #[error("cannot start {program}")]
    Spawn {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// A file or folder could not be used.
    #[error("cannot {action} at {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// This process is root, Postgres must not be, and the machine has neither account that could run it.
    #[error("postgres does not run as root, and this machine has no account postgres or nobody")]
    NoUser,
    /// No folder for a server's data.
    #[error("no folder for temporary files that the server's user reaches")]
    NoFolder,
    /// No folder for downloads.
    #[error("no cache folder that can be written and that the server's user reaches")]
    NoCache,
    /// All ports tried are in use.
    #[error("no free port on 127.0.0.1")]
    NoPort,
    /// The name of a server setting has characters that such names do not have.
    #[error("{name:?} is not the name of a setting")]
    SettingName {
        /// The name.
        name: String,
    },
    /// The embedded broker could not listen.
    #[error("the embedded broker cannot listen on 127.0.0.1")]
    Broker {
        /// The cause.
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot {action}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: sqlx::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// The error, its causes and what to do, for a person.
    pub fn explained(&self) -> String {
        let first: &dyn std::error::Error = self;
        let chain = std::iter::successors(Some(first), |error| error.source());
        let text = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        match self.remedy() {
            Some(remedy) => format!("{text}\nto do: {remedy}"),
            None => text,
        }
    }

    /// What a person can do about it; `None` where the message says all that is known.
    pub fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::PostgresMissing { .. } => format!(
                "install PostgreSQL 15 or newer (Debian: apt-get install postgresql-15), or set {} to the folder of \
                 initdb and postgres, or use the feature `download`",
                binaries::VARIABLE
            ),
            Self::Download { .. } => format!(
                "make https://repo1.maven.org reachable, or install PostgreSQL 15 or newer, or set {}",
                binaries::VARIABLE
            ),
            Self::KafkaFetch { .. } => {
                "make https://repo1.maven.org reachable, or set KAFKA_BROKERS to a Kafka that runs"
                    .to_owned()
            }
            Self::Spawn { program, .. } if program == "java" => {
                "install Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless)"
                    .to_owned()
            }
            Self::Spawn { program, .. } if program == "mvn" => {
                "install Maven (Debian: apt-get install maven)".to_owned()
            }
            Self::Spawn { program, .. } if program == "redis-server" => {
                "install Redis (Debian: apt-get install redis-server)".to_owned()
            }
            Self::NoUser => "make an account named postgres, or do not run as root".to_owned(),
            Self::NoFolder => {
                "set TMPDIR to a folder that everybody may write to, as /tmp".to_owned()
            }
            Self::NoCache => format!(
                "set {} to a folder that this process may write to and the server's user may read",
                cache::VARIABLE
            ),
            Self::NoPort => "end servers that are no longer needed".to_owned(),
            Self::SettingName { .. } => {
                "names of settings have letters, digits, `_` and `.`".to_owned()
            }
            Self::Prepare { .. }
            | Self::EndedAtStart { .. }
            | Self::NotReady { .. }
            | Self::Spawn { .. }
            | Self::Io { .. }
            | Self::Broker { .. }
            | Self::Database { .. } => return None,
        };
        Some(remedy)
    }
}

/// The last lines of what a program said: enough to see the cause.
pub(crate) fn tail(text: &str) -> String {
    const LINES: usize = 15;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return "(empty)".to_owned();
    }
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// What a log file says after its first `from` bytes.
pub(crate) fn text_since(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a log file, of those after its first `from` bytes.
pub(crate) fn log_tail(log: &Path, from: u64) -> String {
    text_since(log, from)
        .map_or_else(|error| format!("(cannot be read: {error})"), |text| tail(&text))
}

fn list(folders: &[PathBuf]) -> String {
    let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    names.join(", ")
}
