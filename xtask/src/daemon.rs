//! `services up` and `down`: servers that outlive the command that starts them.
//!
//! Embedded servers end with their process, so `up` leaves a process behind that holds them: this program again, with
//! `--foreground`. It keeps a lock while it lives, so that `down` never mistakes another process for it, and a note with its
//! process id and the servers' addresses. When it is killed the servers end by themselves.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::command::target;
use crate::servers::{DATABASE_URL, KAFKA_BROKERS, KafkaKind, Servers};

/// The first start fetches Apache Kafka, and maybe Postgres.
const UP_LIMIT: Duration = Duration::from_mins(5);
const DOWN_LIMIT: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

/// Options of `services up`.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct UpOptions {
    /// Which Kafka
    #[arg(long, value_enum, default_value_t)]
    kafka: KafkaKind,
    /// Make Postgres wait for the disk at each commit
    #[arg(long)]
    postgres_durable: bool,
    /// Stay, until Ctrl-C or `services down`
    #[arg(long)]
    pub(crate) foreground: bool,
}

/// What the holder writes down for others.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Note {
    pid: u32,
    kafka: KafkaKind,
    postgres_durable: bool,
    database_url: String,
    kafka_brokers: String,
}

impl Note {
    fn lines(&self) -> String {
        format!("{DATABASE_URL}={}\n{KAFKA_BROKERS}={}", self.database_url, self.kafka_brokers)
    }
}

/// Leaves a holder of servers behind. When there is one already, prints its lines.
pub(crate) async fn up(options: &UpOptions) -> Result<()> {
    if is_held()? {
        let Some(note) = read_note() else { bail!("services are being started elsewhere") };
        if (note.kafka, note.postgres_durable) != (options.kafka, options.postgres_durable) {
            bail!("other services are up; stop them with `cargo xtask services down`");
        }
        println!("{}", note.lines());
        return Ok(());
    }
    remove_note()?;
    let log = folder()?.join("log");
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["services", "up", "--foreground"]);
    if options.kafka == KafkaKind::Embedded {
        command.args(["--kafka", "embedded"]);
    }
    if options.postgres_durable {
        command.arg("--postgres-durable");
    }
    let mut holder = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        // Ctrl-C in this terminal is not for it.
        .process_group(0)
        .spawn()?;
    let deadline = Instant::now() + UP_LIMIT;
    loop {
        if let Some(note) = read_note().filter(|note| note.pid == holder.id()) {
            println!("{}", note.lines());
            return Ok(());
        }
        if let Some(status) = holder.try_wait()? {
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("the services did not start ({status}):\n{said}");
        }
        if Instant::now() > deadline {
            holder.kill()?;
            bail!("the services did not start in time, see {}", log.display());
        }
        sleep(POLL).await;
    }
}

/// Holds servers until a signal.
pub(crate) async fn hold(options: &UpOptions) -> Result<()> {
    let lock = lock_file()?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("services are up already"),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    remove_note()?;
    // From here on a signal means a clean end. The terminal that started us may close.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let _hang_up = signal(SignalKind::hangup())?;
    let servers = tokio::select! {
        servers = Servers::start(options.kafka, options.postgres_durable) => servers?,
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    let note = Note {
        pid: std::process::id(),
        kafka: options.kafka,
        postgres_durable: options.postgres_durable,
        database_url: servers.database_url().to_owned(),
        kafka_brokers: servers.kafka_brokers().unwrap_or_default().to_owned(),
    };
    write_note(&note)?;
    println!("{}", note.lines());
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    remove_note()?;
    servers.stop().await;
    Ok(())
}

/// Ends the holder, if there is one, and waits until its servers are gone.
pub(crate) async fn down() -> Result<()> {
    if !is_held()? {
        remove_note()?;
        println!("no services are up");
        return Ok(());
    }
    let Some(note) = read_note() else { bail!("services are being started or stopped elsewhere") };
    let status = Command::new("kill").arg(note.pid.to_string()).status()?;
    if !status.success() {
        bail!("cannot signal process {}", note.pid);
    }
    let deadline = Instant::now() + DOWN_LIMIT;
    while is_held()? {
        if Instant::now() > deadline {
            bail!("process {} does not end", note.pid);
        }
        sleep(POLL).await;
    }
    println!("services are down");
    Ok(())
}

fn folder() -> Result<PathBuf> {
    let folder = target().join("services");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn lock_file() -> Result<File> {
    let path = folder()?.join("lock");
    let options = File::options().create(true).write(true).truncate(false).open(&path);
    options.with_context(|| format!("cannot open {}", path.display()))
}

fn is_held() -> Result<bool> {
    match lock_file()?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// `None` while there is none.
fn read_note() -> Option<Note> {
    let text = fs::read(folder().ok()?.join("note.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Whole or not at all. It contains a password, so it is for us alone.
fn write_note(note: &Note) -> Result<()> {
    let folder = folder()?;
    let partial = folder.join("note.partial");
    let mut options = File::options();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(&serde_json::to_vec_pretty(note)?)?;
    fs::rename(partial, folder.join("note.json"))?;
    Ok(())
}

fn remove_note() -> Result<()> {
    let note = folder()?.join("note.json");
    if note.exists() {
        fs::remove_file(note)?;
    }
    Ok(())
}
