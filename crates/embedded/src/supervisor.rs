//! A server that cannot outlive its parent.
//!
//! A destructor does not run when a process is killed, and `PR_SET_PDEATHSIG` needs `unsafe` and dies with the thread that
//! set it. So each server is the child of a small `sh` script whose standard input is a pipe from us: whatever ends this
//! process closes the pipe, and the script then ends the server and removes its folder. See `supervisor.sh`.
//!
//! Nothing here is tied to a runtime of tokio: a server that is shared by the tests of a process outlives each test's runtime.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::Error;
use crate::user::ServerUser;

/// What to run, and what to do about it when the parent is gone.
#[derive(Debug)]
pub(crate) struct ServerCommand {
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// Sent when the parent is gone.
    pub(crate) last_signal: Signal,
    /// Removed when the parent is gone.
    pub(crate) folder: PathBuf,
    /// Standard output and error of the server are appended here.
    pub(crate) log: PathBuf,
    /// Whom it runs as.
    pub(crate) user: ServerUser,
}

/// A signal by its name, as `kill -s` takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// `SIGINT`: Postgres's fast shutdown.
    Int,
    /// `SIGQUIT`: Postgres's immediate shutdown.
    Quit,
    /// `SIGTERM`: Kafka's clean shutdown.
    Term,
    /// `SIGKILL`.
    Kill,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Term => "TERM",
            Self::Kill => "KILL",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Starting,
    Running(u32),
    /// No process of the server is left.
    Exited,
    /// The script has ended as well: the folder is removed, or left as ordered.
    Gone,
}

/// One run of a server. Dropping it ends the server and removes its folder, without waiting for either.
#[derive(Debug)]
pub(crate) struct Supervised {
    orders: ChildStdin,
    state: watch::Receiver<State>,
    pid: u32,
}

impl Supervised {
    /// Starts the command; returns when its process exists, which says nothing about its health.
    pub(crate) async fn start(server: &ServerCommand) -> Result<Self, Error> {
        let program = server.command.first().cloned().unwrap_or_default();
        let failed = |source| Error::Spawn { program: program.clone(), source };
        let log = File::options()
            .create(true)
            .append(true)
            .open(&server.log)
            .map_err(|source| Error::io("open the log of a server", &server.log, source))?;
        let mut command = Command::new("sh");
        command
            .args(["-c", &script(), "dionysus-supervisor", server.last_signal.name()])
            .arg(&server.folder)
            .args(&server.command)
            .current_dir(&server.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C in a terminal is for us; what becomes of the server is then our decision.
            .process_group(0);
        server.user.apply(&mut command);
        let mut script = command.spawn().map_err(failed)?;
        let (Some(orders), Some(output)) = (script.stdin.take(), script.stdout.take()) else {
            return Err(failed(std::io::Error::other("the supervisor has no pipes")));
        };
        let (sender, mut state) = watch::channel(State::Starting);
        std::thread::Builder::new()
            .name("dionysus-supervisor".to_owned())
            .spawn(move || follow(script, output, &sender))
            .map_err(failed)?;
        let known = *state
            .wait_for(|state| *state != State::Starting)
            .await
            .map_err(|_| failed(std::io::Error::other("the supervisor ended at once")))?;
        match known {
            State::Running(pid) => Ok(Self { orders, state, pid }),
            _ => Err(failed(std::io::Error::other("the supervisor ended at once"))),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn has_exited(&self) -> bool {
        *self.state.borrow() >= State::Exited
    }

    /// Sends a signal; nothing happens when the server has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.order(signal.name());
    }

    /// Sends a signal and waits until no process of the server is left; after `patience` by `SIGKILL`.
    pub(crate) async fn end(&mut self, signal: Signal, patience: Duration) {
        self.signal(signal);
        if tokio::time::timeout(patience, self.reached(State::Exited)).await.is_err() {
            tracing::warn!(pid = self.pid, "server did not end when told to, killing it");
            self.signal(Signal::Kill);
            self.reached(State::Exited).await;
        }
    }

    /// Lets the supervisor of a server that has ended go, and leaves the folder for its next run.
    pub(crate) async fn leave(mut self) {
        self.order("leave");
        self.reached(State::Gone).await;
    }

    /// Ends whatever still runs, removes the folder, and waits for both.
    pub(crate) async fn remove(self) {
        let Self { orders, mut state, .. } = self;
        drop(orders);
        // An error means that the thread has ended, and so has the script.
        drop(state.wait_for(|state| *state == State::Gone).await);
    }

    fn order(&mut self, line: &str) {
        if let Err(error) = writeln!(self.orders, "{line}") {
            tracing::debug!(pid = self.pid, %error, "supervisor has ended");
        }
    }

    async fn reached(&mut self, wanted: State) {
        drop(self.state.wait_for(|state| *state >= wanted).await);
    }
}

/// Blocks for as long as the server runs, and tells what becomes of it.
fn follow(mut script: Child, output: ChildStdout, state: &watch::Sender<State>) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    if output.read_line(&mut line).is_ok()
        && let Ok(pid) = line.trim().parse()
    {
        state.send_replace(State::Running(pid));
        drop(output.read_to_end(&mut Vec::new()));
    }
    state.send_replace(State::Exited);
    if let Err(error) = script.wait() {
        tracing::warn!(%error, "supervisor cannot be waited for");
    }
    state.send_replace(State::Gone);
}

/// Without its comments, as it is seen in the list of processes.
fn script() -> String {
    let lines = include_str!("supervisor.sh").lines();
    lines.filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}
