//! `outbox-relay`: moves committed rows of the outbox to Kafka, in order per key, at least once.

use std::process::ExitCode;

use clap::Parser;
use dionysus_relay::{Error, Relay, RelayConfig};
use dionysus_service::{
    Common, EXIT_CODES, Exit, HealthCheck, HttpServer, Report, Secret, connect, init_tracing_as,
    load_config, shutdown_token,
};

/// Moves committed rows of the outbox to Kafka: in order per key, at least once.
///
/// Several relays may run; they share the topics. Stop one with SIGTERM: it hands its topics over and exits 0.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Postgres, as `postgres://user:password@host/database`
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Kafka, as `host:port,host:port`
    #[arg(long, value_name = "LIST", env = "KAFKA_BROKERS")]
    brokers: Option<String>,
    /// The name in logs, in `dionysus.relays` and in `pg_stat_activity`
    #[arg(long)]
    name: Option<String>,
    /// How long a lease lasts without a heartbeat, such as 10s
    #[arg(long, value_name = "DURATION")]
    lease_ttl: Option<String>,
    /// How often to look for rows when nobody wakes the relay, such as 2s
    #[arg(long, value_name = "DURATION")]
    poll_interval: Option<String>,
    /// Serve /livez, /readyz and /metrics there, such as 127.0.0.1:9464 [default: no endpoint]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    health: HealthCheck,
}

fn main() -> ExitCode {
    dionysus_service::exit(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Report> {
    let overrides = arguments
        .common
        .overrides()
        .set("database.url", arguments.database_url.as_ref())
        .set("kafka.brokers", arguments.brokers.as_ref())
        .set("relay.name", arguments.name.as_ref())
        .set("relay.lease_ttl", arguments.lease_ttl.as_ref())
        .set("relay.poll_interval", arguments.poll_interval.as_ref())
        .set("http.listen", arguments.listen.as_ref());
    let config: RelayConfig = load_config(arguments.common.config.as_deref(), &overrides)?;
    if let Some(answer) = arguments.health.run(&config.http) {
        return answer;
    }
    // Dropped behind the runtime: sends the last traces.
    let _traces = init_tracing_as("outbox-relay", &config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Report::new(Exit::Failure, "the runtime can't start").caused_by(error))?;
    runtime.block_on(serve(&config))
}

async fn serve(config: &RelayConfig) -> Result<(), Report> {
    let stop = shutdown_token()
        .map_err(|error| Report::new(Exit::Failure, "signals can't be heard").caused_by(error))?;
    let http = HttpServer::start(&config.http).await?;
    // Says at once and in full why the database does not let us in.
    connect(&config.database, "outbox-relay").await?.close().await;
    let url = Secret::expose(&config.database.url)
        .parse()
        .map_err(|_| Report::new(Exit::Config, "database.url is no Postgres URL"))?;
    let relay = Relay::new(url, &config.kafka.brokers, config.options()).map_err(report)?;
    if http.is_open() {
        http.watch(relay.health(config.http.limits()));
    }
    relay.run(stop).await.map_err(report)
}

fn report(error: Error) -> Report {
    let exit = match &error {
        Error::Options(_) => Exit::Config,
        Error::Postgres(error) if error.is_schema() || error.is_restored() => Exit::Schema,
        Error::Postgres(error) if error.is_disconnected() => Exit::Unreachable,
        Error::Kafka(error) if error.is_unreachable() => Exit::Unreachable,
        _ => Exit::Failure,
    };
    let remedy = error.remedy();
    Report::of(exit, error, remedy)
}
