//! `outbox-consumer`: folds topics into replica tables, as a configuration file says.

use std::process::ExitCode;

use clap::Parser;
use dionysus_consumer::{ConsumerConfig, Error};
use dionysus_kafka::Admin;
use dionysus_service::{
    Common, EXIT_CODES, Exit, Report, connect, init_tracing, load_config, shutdown_token,
};

/// Folds Kafka topics into guarded replica tables.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
struct Args {
    #[command(flatten)]
    common: Common,
    /// Check configuration, tables and brokers, and end
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    dionysus_service::exit(run(&args).await)
}

async fn run(args: &Args) -> Result<(), Report> {
    let config: ConsumerConfig =
        load_config(args.common.config.as_deref(), &args.common.overrides())?;
    init_tracing(&config.log)?;
    let cancel = shutdown_token().map_err(|error| {
        Report::new(Exit::Failure, "signals cannot be listened for").caused_by(error)
    })?;
    let pool = connect(&config.database, "outbox-consumer").await?;
    let consumer = config.consumer(pool).map_err(report)?;
    consumer.check().await.map_err(report)?;
    look_for_topics(&config).await.map_err(|error| report(error.into()))?;
    if args.check {
        tracing::info!("everything is in place");
        return Ok(());
    }
    let done = consumer.run(cancel).await.map_err(report)?;
    tracing::info!(
        messages = done.messages,
        applied = done.applied,
        stale = done.stale,
        ignored = done.ignored,
        "consumer ended"
    );
    Ok(())
}

/// Brokers that can't be reached now are told at once; topics may still be made.
async fn look_for_topics(config: &ConsumerConfig) -> Result<(), dionysus_kafka::Error> {
    let found = Admin::new(&config.client())?.topics().await?;
    for topic in config.consumer.topics.iter().filter(|topic| !found.contains_key(&topic.name)) {
        tracing::warn!(topic = %topic.name, "topic does not exist yet; `dionysus topics create` makes it, or its relay");
    }
    Ok(())
}

fn report(error: Error) -> Report {
    let remedy = error.remedy();
    Report::of(exit_of(&error), error, remedy)
}

fn exit_of(error: &Error) -> Exit {
    use dionysus_postgres::Error as Database;
    match error {
        Error::Invalid { .. } | Error::Replicas { .. } => Exit::Config,
        Error::Database(
            Database::SchemaMissing { .. }
            | Database::SchemaTooOld { .. }
            | Database::SchemaTooNew { .. },
        ) => Exit::Schema,
        Error::Database(error) if error.is_disconnected() => Exit::Unreachable,
        Error::Kafka(error) if error.is_unreachable() => Exit::Unreachable,
        _ => Exit::Failure,
    }
}
