//! Servers end with the process that started them, whoever that runs as. `/proc` tells who is there.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dionysus_embedded::{Postgres, PostgresOptions};
use sqlx::{Connection as _, PgConnection};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dionysus-embedded");
/// Long enough for a loaded machine; nothing waits for it when all is well.
const LIMIT: Duration = Duration::from_mins(1);

/// Starts a holder of servers and reads the lines it prints: one for each server.
fn hold(mut command: Command, servers: &[&str]) -> (Child, Vec<String>) {
    let mut holder =
        command.args(servers).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(holder.stdout.take().unwrap());
    let lines: Vec<String> = output.lines().take(servers.len()).map(Result::unwrap).collect();
    assert_eq!(lines.len(), servers.len(), "the holder ended: {lines:?}");
    (holder, lines)
}

fn value<'a>(lines: &'a [String], name: &str) -> &'a str {
    lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap()
}

/// The processes whose command line names one of these servers' folders.
fn processes_of(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes
        .filter(|process| {
            let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(folder)
        })
        .collect()
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            // Another process ends; there is nothing to await.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, so).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

async fn data_folder(url: &str) -> PathBuf {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let data: String = sqlx::query_scalar("select current_setting('data_directory')")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    Path::new(&data).parent().unwrap().to_owned()
}

#[tokio::test]
async fn postgres_and_its_data_are_gone_when_its_parent_is_killed() {
    let (mut holder, lines) = hold(Command::new(PROGRAM), &["postgres"]);
    let folder = data_folder(value(&lines, "DATABASE_URL")).await;
    assert!(!processes_of(&folder).is_empty());
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the data is gone", || !folder.exists()).await;
    eventually("no process is left", || processes_of(&folder).is_empty()).await;
}

#[tokio::test]
async fn kafka_is_gone_when_its_parent_is_killed() {
    is_gone_with_its_parent("kafka").await;
}

#[tokio::test]
async fn redis_is_gone_when_its_parent_is_killed() {
    is_gone_with_its_parent("redis").await;
}

async fn is_gone_with_its_parent(server: &str) {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(PROGRAM);
    command.env("TMPDIR", temporary.path());
    let (mut holder, _lines) = hold(command, &[server]);
    let folder = temporary.path().join(format!("dionysus-{server}-"));
    assert!(!processes_of(&folder).is_empty());
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("no process is left", || processes_of(&folder).is_empty()).await;
    let left = || std::fs::read_dir(temporary.path()).unwrap().count();
    eventually("the data is gone", || left() == 0).await;
}

#[tokio::test]
async fn postgres_never_runs_as_root() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let process = Path::new("/proc").join(postgres.pid().unwrap().to_string());
    assert_ne!(std::fs::metadata(process).unwrap().uid(), 0);
    postgres.stop().await;
}

/// Where the tests run as root, as in containers, this shows the other way; elsewhere all tests do.
#[tokio::test]
async fn servers_are_started_by_an_ordinary_user_as_that_user() {
    let folder = tempfile::tempdir().unwrap();
    if std::fs::metadata(folder.path()).unwrap().uid() != 0 {
        return;
    }
    // The workspace may lie where only root goes.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("holder");
    std::fs::copy(PROGRAM, &program).unwrap();
    let mut command = Command::new("runuser");
    command.args(["-u", "nobody", "--"]).arg(&program).current_dir("/");
    let (mut holder, lines) = hold(command, &["postgres", "broker"]);
    let data = data_folder(value(&lines, "DATABASE_URL")).await;
    let owner = std::fs::metadata(&data).unwrap().uid();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let nobody = accounts.lines().find(|line| line.starts_with("nobody:")).unwrap();
    assert_eq!(nobody.split(':').nth(2).unwrap(), owner.to_string());
    // The end of its input is the clean end.
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert!(!data.exists());
}
