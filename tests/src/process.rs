//! Our own binaries as processes that can be stopped, frozen and killed.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};

/// The path of a binary of this workspace, beside the test that runs.
///
/// # Errors
/// When it was not built: `cargo test --workspace` and `cargo build --workspace` build it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|deps| deps.parent()).context("no target folder")?;
    let path = folder.join(name);
    ensure!(path.exists(), "{} is not built: run `cargo build --workspace`", path.display());
    Ok(path)
}

/// A running binary; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a binary of this workspace with these arguments and variables; its output goes to the test's.
    ///
    /// # Errors
    /// When it was not built or can't be started.
    pub fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let child = Command::new(binary(name)?)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child })
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
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id()?.to_string()).status().await?;
        ensure!(sent.success(), "kill -{name} failed");
        Ok(())
    }

    /// Waits until it has ended by itself; its exit code.
    ///
    /// # Errors
    /// When it does not end within `limit`, or was killed by a signal.
    pub async fn ended(&mut self, limit: Duration) -> Result<i32> {
        let status = tokio::time::timeout(limit, self.child.wait()).await.context("the process goes on")??;
        status.code().context("killed by a signal")
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
