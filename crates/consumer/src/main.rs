//! `outbox-consumer`: folds topics into replica tables, as a configuration file says.

use std::process::ExitCode;

use clap::Parser;
use dionysus_consumer::{ConsumerConfig, Error};
use dionysus_kafka::Admin;
use dionysus_service::{
    Common, EXIT_CODES, Exit, HealthCheck, HttpServer, Report, connect, init_tracing_as,
    load_config, shutdown_token,
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
    /// Serve /livez, /readyz and /metrics there, such as 127.0.0.1:9464 [default: no endpoint]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    health: HealthCheck,
}

fn main() -> ExitCode {
    dionysus_service::exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Report> {
    let overrides = args.common.overrides().set("http.listen", args.listen.as_ref());
    let config: ConsumerConfig = load_config(args.common.config.as_deref(), &overrides)?;
    if let Some(answer) = args.health.run(&config.http) {
        return answer;
    }
    // Dropped behind the runtime: sends the last traces.
    let _traces = init_tracing_as("outbox-consumer", &config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Report::new(Exit::Failure, "the runtime can't start").caused_by(error))?;
    runtime.block_on(serve(args, &config))
}

async fn serve(args: &Args, config: &ConsumerConfig) -> Result<(), Report> {
    let cancel = shutdown_token().map_err(|error| {
        Report::new(Exit::Failure, "signals cannot be listened for").caused_by(error)
    })?;
    let http = HttpServer::start(&config.http).await?;
    let pool = connect(&config.database, "outbox-consumer").await?;
    let consumer = config.consumer(pool).map_err(report)?;
    consumer.check().await.map_err(report)?;
    look_for_topics(config).await.map_err(|error| report(error.into()))?;
    if args.check {
        tracing::info!("everything is in place");
        return Ok(());
    }
    if http.is_open() {
        http.watch(consumer.health(config.http.limits()));
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
