//! Redis, one node that keeps nothing on disk, as a child process.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, log_tail, text_since};
use crate::port;
use crate::supervisor::{ServerCommand, Signal, Supervised};
use crate::user::{ServerUser, own_folder};

const SERVER: &str = "Redis";
const PROGRAM: &str = "redis-server";
/// It says this when clients can use it.
const STARTED: &str = "Ready to accept connections";
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const READY_POLL: Duration = Duration::from_millis(10);
/// Chosen ports may be taken before the server listens on them.
const PORT_TRIES: usize = 5;

/// A running Redis of this process, the machine's `redis-server`, on a port of 127.0.0.1.
///
/// It ends with this process, even when that is killed: see [`Redis::stop`] for an end that waits. Dropping the value kills the server without
/// waiting.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    /// Removed by the server's supervisor, which lives until this process or value is gone.
    folder: PathBuf,
    server: Option<Supervised>,
}

impl Redis {
    /// Starts the server; a few hundredths of a second.
    ///
    /// # Errors
    /// No `redis-server` in `PATH`, or a server that does not start: its log is in the error.
    ///
    /// # Cancel safety
    /// A start that is dropped leaves no server and no folder.
    pub async fn start() -> Result<Self, Error> {
        find()?;
        let folder = own_folder("dionysus-redis-")?;
        let mut redis = Self { port: 0, folder: folder.path().to_owned(), server: None };
        for attempt in 1.. {
            redis.port = port::free()?;
            match redis.run().await {
                Err(Error::EndedAtStart { log, .. })
                    if attempt < PORT_TRIES && log.contains("Address already in use") =>
                {
                    if let Some(ended) = redis.server.take() {
                        ended.leave().await;
                    }
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        // From here on the supervisor alone removes the folder.
        drop(folder.keep());
        Ok(redis)
    }

    /// `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The process id of the server; `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().filter(|server| !server.has_exited()).map(Supervised::pid)
    }

    /// Ends the server at once (`SIGKILL`). The port stays, the keys are gone; [`Redis::restart`] starts an empty one.
    ///
    /// # Cancel safety
    /// Once called, the server ends, whether waited for or not.
    pub async fn kill(&mut self) {
        if let Some(server) = &mut self.server {
            server.end(Signal::Kill, STOP_LIMIT).await;
        }
    }

    /// Starts the server again on the same port, empty, after ending it if it runs.
    ///
    /// # Errors
    /// The server does not start: its log is in the error. It can be tried again.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.kill().await;
        self.run().await
    }

    /// Shuts the server down and removes its folder.
    pub async fn stop(mut self) {
        if let Some(mut server) = self.server.take() {
            server.end(Signal::Term, STOP_LIMIT).await;
            server.remove().await;
        }
    }

    /// Starts the server and waits until clients can use it.
    async fn run(&mut self) -> Result<(), Error> {
        let log = self.folder.join("server.log");
        let log_before = std::fs::metadata(&log).map_or(0, |log| log.len());
        let port = self.port.to_string();
        let arguments =
            ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let next = Supervised::start(&ServerCommand {
            command: std::iter::once(PROGRAM).chain(arguments).map(str::to_owned).collect(),
            last_signal: Signal::Kill,
            folder: self.folder.clone(),
            log: log.clone(),
            user: ServerUser::Ours,
        })
        .await?;
        // Only now that another supervisor would remove the folder may the one before leave it.
        if let Some(before) = self.server.replace(next) {
            before.leave().await;
        }
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if text_since(&log, log_before).is_ok_and(|text| text.contains(STARTED)) {
                return Ok(());
            }
            if self.server.as_ref().is_none_or(Supervised::has_exited) {
                return Err(Error::EndedAtStart {
                    server: SERVER,
                    log: log_tail(&log, log_before),
                });
            }
            if Instant::now() > deadline {
                let log = log_tail(&log, log_before);
                return Err(Error::NotReady { server: SERVER, waited: START_LIMIT, log });
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }
}

/// The supervisor would only say that its child has ended.
fn find() -> Result<(), Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file()) {
        return Ok(());
    }
    let source = std::io::Error::new(std::io::ErrorKind::NotFound, "not in PATH");
    Err(Error::Spawn { program: PROGRAM.to_owned(), source })
}
