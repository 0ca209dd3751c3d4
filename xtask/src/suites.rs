//! `cargo xtask test`: everything that must hold before a change is taken.

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::checklist;
use crate::command::{cargo, output, run, watch};
use crate::schema;
use crate::servers::{DATABASE_URL, KAFKA_BROKERS, KafkaKind, Servers};
use crate::steps::Steps;
use crate::test_programs::{self, TestProgram, passed};

const END_TO_END: &str = "dionysus-e2e";
/// Their suites hold on the embedded broker too.
const ON_EMBEDDED_BROKER: [&str; 3] = ["dionysus-kafka", "dionysus-relay", "dionysus-consumer"];
const EMBEDDED: &str = "dionysus-embedded";

/// Options of `cargo xtask test`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TestOptions {
    /// Only the test suites, and of these the tests whose names contain this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Leave out what repeats a suite on other servers, and what is slow to build
    #[arg(long)]
    fast: bool,
    /// As CI does: ignore servers named by the environment
    #[arg(long, env = "CI", hide = true, value_parser = clap::builder::FalseyValueParser::new())]
    ci: bool,
}

impl TestOptions {
    pub(crate) fn for_ci() -> Self {
        Self { ci: true, ..Self::default() }
    }
}

/// Runs all steps.
///
/// # Errors
/// A step failed, or a suite that must run did not.
pub(crate) async fn test(options: &TestOptions) -> Result<()> {
    let mut steps = Steps::default();
    let whole = options.filter.is_none();
    if whole {
        steps.run("format", plain(&["fmt", "--all", "--check"])).await;
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        steps.run("clippy", plain(&clippy)).await;
        steps.run("dependencies", producer_without_kafka()).await;
    }
    // The end-to-end suite runs and kills the real binaries.
    steps.run("build binaries", plain(&["build", "--workspace", "--bins"])).await;
    let mut programs = Vec::new();
    steps
        .run("build tests", async {
            programs = test_programs::build().await?;
            Ok(None)
        })
        .await;
    if programs.is_empty() {
        // Nothing after this could say more than the compiler did.
        return steps.finish();
    }
    named_tests(&mut steps, whole, &programs).await;
    let mut servers = None;
    steps
        .run("servers", async {
            servers = Some(start_servers(options).await?);
            Ok(None)
        })
        .await;
    if let Some(servers) = servers {
        suites(&mut steps, options, &programs, &servers).await;
        if whole {
            rest(&mut steps, options, &servers).await;
        }
        servers.stop().await;
    }
    steps.finish()
}

/// Whether the tests that the checklist names exist.
async fn named_tests(steps: &mut Steps, whole: bool, programs: &[TestProgram]) {
    if !whole {
        return steps.note("checklist: not read, because of --filter".to_owned());
    }
    let mut summary = None;
    steps
        .run("checklist", async {
            summary = Some(checklist::check(programs).await?);
            Ok(None)
        })
        .await;
    if let Some(summary) = summary {
        steps.note(summary);
    }
}

async fn start_servers(options: &TestOptions) -> Result<Servers> {
    let servers = if options.ci {
        Servers::start(KafkaKind::Real, false).await?
    } else {
        Servers::of_environment_or_start().await?
    };
    println!("Postgres, and {}", servers.kafka_name());
    Ok(servers)
}

async fn suites(
    steps: &mut Steps,
    options: &TestOptions,
    programs: &[TestProgram],
    servers: &Servers,
) {
    let all = |wanted: fn(&str) -> bool| programs.iter().filter(move |p| wanted(&p.package));
    let suite = Suite { options, servers: Some(servers) };
    let most = all(|package| package != END_TO_END);
    steps.run("tests", suite.run(most, &[])).await;

    let mut ran = None;
    steps
        .run("end to end", async {
            // Its figures are wanted, and they are about servers that nobody else keeps busy.
            let alone = ["--nocapture", "--test-threads=1"];
            ran = suite.run(all(|package| package == END_TO_END), &alone).await?;
            Ok(ran)
        })
        .await;
    if let Some(tests) = ran.filter(|_| options.filter.is_none()) {
        steps.note(format!("e2e ran against {}: {tests} tests", servers.kafka_name()));
    }
    if options.fast {
        return;
    }
    let suite = Suite { options, servers: None };
    let both = all(|package| ON_EMBEDDED_BROKER.contains(&package));
    steps.run("tests, embedded broker", suite.run(both, &[])).await;
    if options.filter.is_none() {
        // They reach Maven Central, so they are not among those that everybody runs.
        let download = all(|package| package == EMBEDDED);
        steps.run("postgres downloaded", suite.run(download, &["--ignored"])).await;
    }
}

async fn rest(steps: &mut Steps, options: &TestOptions, servers: &Servers) {
    steps.run("doc tests", doc_tests(servers)).await;
    steps.run("schema", schema_check(servers)).await;
    steps.run("quickstart, embedded", quickstart(None)).await;
    if options.fast {
        return;
    }
    steps.run("quickstart, real", quickstart(Some(servers))).await;
    // Off by default, so no other step builds them.
    let traces = ["test", "-p", "dionysus-service", "--lib", "--features", "otel"];
    steps.run("traces", plain(&traces)).await;
    steps.run("documentation", documentation()).await;
}

/// Test programs and what they run against: these servers, or embedded ones.
struct Suite<'a> {
    options: &'a TestOptions,
    servers: Option<&'a Servers>,
}

impl Suite<'_> {
    /// Runs all programs, also after a failure. No test at all is a failure, unless a filter asked for few.
    async fn run<'p>(
        &self,
        programs: impl Iterator<Item = &'p TestProgram>,
        arguments: &[&str],
    ) -> Result<Option<usize>> {
        let mut tests = 0;
        let mut failures = Vec::new();
        for program in programs {
            let mut command = program.command();
            command.args(arguments).args(self.options.filter.as_deref());
            command.env_remove(DATABASE_URL).env_remove(KAFKA_BROKERS);
            if let Some(servers) = self.servers {
                servers.tell(&mut command);
            }
            if self.options.ci {
                command.env("CI", "true");
            }
            match program.run(&mut command).await {
                Ok(passed) => tests += passed,
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
        if !failures.is_empty() {
            bail!("{}", failures.join("; "));
        }
        if tests == 0 && self.options.filter.is_none() {
            bail!("no test ran");
        }
        Ok(Some(tests))
    }
}

async fn plain(arguments: &[&str]) -> Result<Option<usize>> {
    run(&mut cargo(arguments)).await.map(|()| None)
}

async fn doc_tests(servers: &Servers) -> Result<Option<usize>> {
    let mut command = cargo(["test", "--workspace", "--doc", "--no-fail-fast"]);
    servers.tell(&mut command);
    let mut tests = 0;
    watch(&mut command, |line| tests += passed(line)).await?;
    Ok(Some(tests))
}

async fn documentation() -> Result<Option<usize>> {
    let mut command = cargo(["doc", "--workspace", "--no-deps"]);
    run(command.env("RUSTDOCFLAGS", "-D warnings")).await.map(|()| None)
}

async fn schema_check(servers: &Servers) -> Result<Option<usize>> {
    if servers.postgres().is_some() {
        return schema::dump(servers, true).await.map(|()| None);
    }
    let own = Servers::start(KafkaKind::None, false).await?;
    let outcome = schema::dump(&own, true).await;
    own.stop().await;
    outcome.map(|()| None)
}

/// With servers of its own, or with these.
async fn quickstart(servers: Option<&Servers>) -> Result<Option<usize>> {
    let mut command = cargo(["run", "--quiet", "-p", "quickstart"]);
    command.env_remove(DATABASE_URL).env_remove(KAFKA_BROKERS);
    if let Some(servers) = servers {
        servers.tell(&mut command);
        if let Some(postgres) = servers.postgres() {
            command.env(DATABASE_URL, postgres.create_database("quickstart").await?);
        }
    }
    run(&mut command).await.map(|()| None)
}

/// An application that only produces never builds librdkafka.
async fn producer_without_kafka() -> Result<Option<usize>> {
    let tree = ["tree", "-p", "dionysus", "--edges", "normal,build", "--prefix", "none"];
    let tree = output(&mut cargo(tree)).await.context("cannot list dependencies")?;
    match tree.lines().find(|line| line.starts_with("rdkafka")) {
        Some(line) => bail!("the producer alone depends on {line}"),
        None => Ok(None),
    }
}
