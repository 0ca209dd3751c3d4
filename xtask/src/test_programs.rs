//! The test programs of the workspace, built once.
//!
//! `cargo test -p PACKAGE` resolves features for that package alone and so rebuilds half of the tree for each selection.
//! Here all are built together, and each suite runs the programs it is made of, as `cargo test` would.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tokio::process::Command;

use crate::command::{cargo, output, watch};

/// Targets with tests in code. Those in documentation have no program.
const TARGETS: [&str; 4] = ["--lib", "--bins", "--tests", "--examples"];

/// The tests of one target of one package.
#[derive(Clone, Debug)]
pub(crate) struct TestProgram {
    pub(crate) package: String,
    pub(crate) target: String,
    executable: PathBuf,
    folder: PathBuf,
}

/// A line of cargo's, of which we read one kind.
#[derive(Deserialize)]
struct Artifact {
    reason: String,
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    target: Target,
}

#[derive(Default, Deserialize)]
struct Profile {
    #[serde(default)]
    test: bool,
}

#[derive(Default, Deserialize)]
struct Target {
    #[serde(default)]
    name: String,
}

/// Builds them all.
pub(crate) async fn build() -> Result<Vec<TestProgram>> {
    let mut command = cargo(["test", "--workspace", "--no-run"]);
    command.args(TARGETS).arg("--message-format=json-render-diagnostics");
    let lines = output(&mut command).await?;
    let mut programs = Vec::new();
    for line in lines.lines() {
        let artifact: Artifact =
            serde_json::from_str(line).context("cargo's messages are not as expected")?;
        if let Some(program) = program(artifact) {
            programs.push(program);
        }
    }
    if programs.is_empty() {
        bail!("the workspace has no tests");
    }
    programs.sort_by(|a, b| (&a.package, &a.target).cmp(&(&b.package, &b.target)));
    Ok(programs)
}

fn program(artifact: Artifact) -> Option<TestProgram> {
    if artifact.reason != "compiler-artifact" || !artifact.profile.test {
        return None;
    }
    let folder = artifact.manifest_path.parent()?.to_owned();
    Some(TestProgram {
        package: package_name(&artifact.package_id, &folder),
        target: artifact.target.name,
        executable: artifact.executable?,
        folder,
    })
}

/// An id is `path+file:///folder#name@version`, or without the name where it is that of the folder.
fn package_name(id: &str, folder: &Path) -> String {
    let fragment = id.rsplit_once('#').map_or("", |(_, fragment)| fragment);
    match fragment.split_once('@') {
        Some((name, _version)) => name.to_owned(),
        None => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

impl TestProgram {
    /// A command that runs it in its package's folder, where tests expect to be.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .current_dir(&self.folder)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .env("CARGO_PKG_NAME", &self.package);
        command
    }

    /// The names of its tests, but for those that only run where they are asked for.
    pub(crate) async fn tests(&self) -> Result<Vec<String>> {
        let list = ["--list", "--format=terse"];
        let all = output(self.command().args(list)).await?;
        let ignored = output(self.command().args(list).arg("--ignored")).await?;
        let ignored: Vec<&str> = listed(&ignored).collect();
        Ok(listed(&all).filter(|test| !ignored.contains(test)).map(str::to_owned).collect())
    }

    /// Runs it to its end and returns how many tests passed.
    pub(crate) async fn run(&self, command: &mut Command) -> Result<usize> {
        println!("\n     Running {} {}", self.package, self.target);
        let mut tests = 0;
        watch(command, |line| tests += passed(line))
            .await
            .with_context(|| format!("{} {}", self.package, self.target))?;
        Ok(tests)
    }
}

/// The tests among lines like `window::is_read: test`.
fn listed(lines: &str) -> impl Iterator<Item = &str> {
    lines.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// The count in a line like `test result: ok. 3 passed; 0 failed; ...`.
pub(crate) fn passed(line: &str) -> usize {
    let Some(counts) = line.strip_prefix("test result: ") else {
        return 0;
    };
    let mut words = counts.split_whitespace();
    let (_outcome, count) = (words.next(), words.next());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted_from_the_result_lines_alone() {
        assert_eq!(passed("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured"), 12);
        assert_eq!(passed("test result: FAILED. 3 passed; 2 failed; 0 ignored"), 3);
        assert_eq!(passed("test window::is_read ... ok"), 0);
    }

    #[test]
    fn tests_are_told_from_benchmarks_in_a_list() {
        let lines = "window::is_read: test\nwindow::speed: benchmark\na: test\n\n";
        assert_eq!(listed(lines).collect::<Vec<_>>(), ["window::is_read", "a"]);
    }

    #[test]
    fn a_program_is_known_by_its_package() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/tests#dionysus-e2e@0.1.0",
            "manifest_path":"/w/tests/Cargo.toml","target":{"kind":["test"],"name":"main"},
            "profile":{"opt_level":"0","test":true},"executable":"/w/target/debug/deps/main-1","fresh":true}"#;
        let program = program(serde_json::from_str(line).unwrap()).unwrap();
        assert_eq!((program.package.as_str(), program.target.as_str()), ("dionysus-e2e", "main"));
        assert_eq!(program.folder, Path::new("/w/tests"));
        assert_eq!(package_name("path+file:///w/xtask#0.1.0", Path::new("/w/xtask")), "xtask");
    }
}
