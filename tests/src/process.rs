//! Our own binaries as processes that can be stopped, frozen and killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};

/// The path of a binary of this workspace, beside the test that runs.
///
/// # Errors
/// When it was not built: `cargo build --workspace --bins` builds it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|deps| deps.parent()).context("no target folder")?;
    let path = folder.join(name);
    ensure!(path.exists(), "{} is not built: run `cargo build --workspace --bins`", path.display());
    Ok(path)
}

/// A running binary; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// What a binary did that ran to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Process {
    /// Starts a binary of this workspace with these arguments and variables; its output goes to the test's.
    ///
    /// # Errors
    /// When it was not built or can't be started.
    pub fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        Ok(Self { child: command(name, arguments, variables)?.spawn()? })
    }

    /// As [`start`](Self::start), with its output in a file.
    ///
    /// # Errors
    /// As for [`start`](Self::start), or when the file can't be written.
    pub fn start_logging(
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        file: &Path,
    ) -> Result<Self> {
        let file = File::create(file)?;
        let mut command = command(name, arguments, variables)?;
        command.stdout(file.try_clone()?).stderr(file);
        Ok(Self { child: command.spawn()? })
    }

    /// Runs a binary to its end.
    ///
    /// # Errors
    /// When it was not built, can't be started, was killed by a signal, or does not end within `limit`.
    pub async fn run(
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        limit: Duration,
    ) -> Result<Finished> {
        let mut command = command(name, arguments, variables)?;
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = tokio::time::timeout(limit, child.wait_with_output());
        let output = output.await.with_context(|| format!("{name} goes on"))??;
        Ok(Finished {
            code: output.status.code().context("killed by a signal")?,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The process id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends a signal by name, `TERM`, `STOP`, `CONT`.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id()?.to_string())
            .status()
            .await?;
        ensure!(sent.success(), "kill -{name} failed");
        Ok(())
    }

    /// Waits until it has ended by itself; its exit code.
    ///
    /// # Errors
    /// When it does not end within `limit`, or was killed by a signal.
    pub async fn ended(&mut self, limit: Duration) -> Result<i32> {
        let status = tokio::time::timeout(limit, self.child.wait())
            .await
            .context("the process goes on")??;
        status.code().context("killed by a signal")
    }

    /// SIGTERM, and waits until it has ended; its exit code.
    ///
    /// # Errors
    /// As for [`ended`](Self::ended).
    pub async fn terminate(&mut self, limit: Duration) -> Result<i32> {
        self.signal("TERM").await?;
        self.ended(limit).await
    }

    /// The peak of its resident memory so far, in bytes (`VmHWM`).
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kib * 1024)
    }
}

fn command(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Command> {
    let mut command = Command::new(binary(name)?);
    command
        .args(arguments)
        .env_remove("DATABASE_URL")
        .env_remove("KAFKA_BROKERS")
        // A variable with our prefix is a setting to a binary of ours.
        .env_remove("DIONYSUS_SEED")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}
