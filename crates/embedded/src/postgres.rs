//! A private Postgres: its own data folder, its own port, gone when this process is gone.

mod cluster;
pub(crate) mod database;
mod options;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::Instant;

pub use self::options::PostgresOptions;
use crate::error::{Error, log_tail};
use crate::port;
use crate::supervisor::{ServerCommand, Signal, Supervised};
use crate::user::{ServerUser, server_folder};

const SERVER: &str = "postgres";
/// Crash recovery of a large test is the longest start.
const START_LIMIT: Duration = Duration::from_mins(1);
/// A fast shutdown writes a checkpoint.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(10);
/// A chosen port may be taken before the server listens on it.
const PORT_TRIES: usize = 5;

/// A running Postgres server of this process, reached at 127.0.0.1 by password.
///
/// It ends with this process, even when that is killed: see [`Postgres::stop`] for an end that waits. Dropping the value
/// ends the server and removes its data without waiting.
pub struct Postgres {
    url: String,
    connect: PgConnectOptions,
    password: String,
    bin: PathBuf,
    /// Removed by the server's supervisor, which lives until this process or value is gone.
    folder: PathBuf,
    user: ServerUser,
    server: Option<Supervised>,
}

impl Postgres {
    /// Makes a cluster (encoding UTF8, locale C, time zone UTC) and starts a server on it; about a second.
    ///
    /// As root, the server runs as the account `postgres`, else `nobody`.
    ///
    /// # Errors
    /// No programs and no way to fetch them, no folder, or a server that does not start: its log is in the error.
    ///
    /// # Cancel safety
    /// A start that is dropped leaves no server and no folder.
    pub async fn start(options: PostgresOptions) -> Result<Self, Error> {
        let (folder, user) = server_folder("dionysus-postgres-")?;
        let bin = options.binaries.locate(&user).await?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        cluster::initialise(&bin, folder.path(), &user, &password).await?;
        // From here on the supervisor removes the folder, and nobody else may while the server runs.
        let mut postgres = Self {
            url: String::new(),
            connect: PgConnectOptions::new_without_pgpass(),
            password,
            bin,
            folder: folder.path().to_owned(),
            user,
            server: None,
        };
        for attempt in 1.. {
            let port = port::free()?;
            cluster::configure(&postgres.data(), port, &options)?;
            postgres.set_port(port);
            match postgres.run().await {
                Err(Error::EndedAtStart { log, .. })
                    if attempt < PORT_TRIES && log.contains("Address already in use") =>
                {
                    postgres.release().await;
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        drop(folder.keep());
        Ok(postgres)
    }

    /// A connection URL of the superuser for the database `postgres`. It contains the password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What tells `psql`, `pg_dump` and their like about the server: their environment, since others may see their
    /// arguments.
    pub fn client_environment(&self) -> [(&'static str, String); 4] {
        [
            ("PGHOST", self.connect.get_host().to_owned()),
            ("PGPORT", self.connect.get_port().to_string()),
            ("PGUSER", self.connect.get_username().to_owned()),
            ("PGPASSWORD", self.password.clone()),
        ]
    }

    /// The folder of `postgres`, `initdb` and, unless downloaded, client programs like `pg_dump`.
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// The process id of the server; `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().filter(|server| !server.has_exited()).map(Supervised::pid)
    }

    /// The server's log file. It goes with the server.
    pub fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// The server is down, or has a database of this name.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        database::create(&self.connect, name).await?;
        Ok(database::url_of(&self.url, name))
    }

    /// Ends the server as a crash would (`pg_ctl stop -m immediate`): no checkpoint, open transactions are lost, and so is
    /// WAL that was not written. Data and port stay; [`Postgres::restart`] recovers.
    ///
    /// # Cancel safety
    /// Once called, the server ends, whether waited for or not.
    pub async fn crash(&mut self) {
        if let Some(server) = &mut self.server {
            server.end(Signal::Quit, STOP_LIMIT).await;
        }
    }

    /// Starts the server again on the same data and port, after a clean shutdown if it runs, else after crash recovery.
    ///
    /// # Errors
    /// The server does not start: its log is in the error. It can be tried again.
    pub async fn restart(&mut self) -> Result<(), Error> {
        if let Some(server) = &mut self.server {
            server.end(Signal::Int, STOP_LIMIT).await;
        }
        self.run().await
    }

    /// Shuts the server down cleanly and removes its data.
    pub async fn stop(mut self) {
        if let Some(mut server) = self.server.take() {
            server.end(Signal::Int, STOP_LIMIT).await;
            server.remove().await;
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn set_port(&mut self, port: u16) {
        let password = &self.password;
        self.url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        self.connect = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username("postgres")
            .password(password)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable);
    }

    /// Starts the server and waits until it accepts connections.
    async fn run(&mut self) -> Result<(), Error> {
        let log_before = std::fs::metadata(self.log_file()).map_or(0, |log| log.len());
        let program = self.bin.join("postgres").display().to_string();
        let next = Supervised::start(&ServerCommand {
            command: vec![program, "-D".to_owned(), self.data().display().to_string()],
            last_signal: Signal::Quit,
            folder: self.folder.clone(),
            log: self.log_file(),
            user: self.user.clone(),
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
            // Until the server listens it refuses, and then for a while it says that it starts up.
            if let Ok(connection) = self.connect.connect().await {
                drop(connection.close().await);
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady { server: SERVER, waited: START_LIMIT, log: log() });
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// Gives up a server that has ended, and keeps the folder for another try.
    async fn release(&mut self) {
        if let Some(server) = self.server.take() {
            server.leave().await;
        }
    }
}

/// Without the password, which the URL contains.
impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("folder", &self.folder)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
