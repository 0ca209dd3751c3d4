//! `dionysus`: the command line for whoever runs it.
//!
//! It holds no SQL and no policy: each command asks `dionysus-postgres` and `dionysus-kafka`, and shows what they say, as a table for people
//! or as JSON for scripts.

mod args;
mod commands;
mod output;
mod reports;
mod settings;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let args = args::Args::parse();
    dionysus_service::exit(commands::run(args).await)
}
