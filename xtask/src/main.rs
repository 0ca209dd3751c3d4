//! `cargo xtask`: what the people who work on this repository run. `cargo xtask --help` lists it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

mod checklist;
mod command;
mod daemon;
mod schema;
mod servers;
mod steps;
mod suites;
mod test_programs;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::servers::KafkaKind;
use crate::suites::TestOptions;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Tests, servers and generated files of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start the servers that are needed, then check format, lints, tests, documentation, schema and quickstart
    ///
    /// `DATABASE_URL` and `KAFKA_BROKERS` in the environment replace the servers, except with CI=true.
    Test(TestOptions),
    /// What CI runs once the machine has what it needs: `test` with CI=true
    Ci,
    /// Servers for work at hand: they run until `services down`
    #[command(subcommand)]
    Services(Services),
    /// Write migrations/schema.sql from a freshly migrated database
    SchemaDump {
        /// Change nothing; fail if the file differs
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Services {
    /// Start Postgres and Kafka in the background and print `DATABASE_URL=` and `KAFKA_BROKERS=` lines
    Up(daemon::UpOptions),
    /// Stop what `up` started, and remove its data
    Down,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().task).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(task: Task) -> Result<()> {
    match task {
        Task::Test(options) => suites::test(&options).await,
        Task::Ci => suites::test(&TestOptions::for_ci()).await,
        Task::Services(Services::Up(options)) if options.foreground => daemon::hold(&options).await,
        Task::Services(Services::Up(options)) => daemon::up(&options).await,
        Task::Services(Services::Down) => daemon::down().await,
        Task::SchemaDump { check } => {
            let servers = servers::Servers::start(KafkaKind::None, false).await?;
            let result = schema::dump(&servers, check).await;
            servers.stop().await;
            result
        }
    }
}
