//! `cargo run -p axum-orders`: the service, with servers of its own where none are named.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::net::SocketAddr;

use anyhow::{Error, Result};
use axum_orders::{AppState, serve};
use clap::Parser;
use dionysus::{Relay, RelayOptions};
use dionysus_embedded::{Broker, Postgres, PostgresOptions};
use dionysus_service::{LogConfig, init_tracing, shutdown_token};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Orders and their lines over HTTP, published to Kafka.
#[derive(Debug, Parser)]
struct Arguments {
    /// Postgres, as `postgres://user:password@host/database` [default: a private server]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Kafka, as `host:port,host:port` [default: a private broker]
    #[arg(long, env = "KAFKA_BROKERS")]
    kafka_brokers: Option<String>,
    /// Where to answer requests
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The topics are `<namespace>_orders` and `<namespace>_customers`
    #[arg(long, env = "NAMESPACE", default_value = "v1")]
    namespace: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    init_tracing(&LogConfig::default()).map_err(Error::msg)?;
    let stop = shutdown_token()?;
    let (mut postgres, mut broker) = (None, None);
    let database_url = if let Some(url) = arguments.database_url {
        url
    } else {
        let server = postgres.insert(Postgres::start(PostgresOptions::default()).await?);
        server.create_database("orders").await?
    };
    let brokers = match arguments.kafka_brokers {
        Some(brokers) => brokers,
        None => broker.insert(Broker::start().await?).bootstrap().to_owned(),
    };

    let pool = PgPool::connect(&database_url).await?;
    let state = AppState::prepare(pool, &arguments.namespace).await?;
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("published to {brokers} in {}_orders", arguments.namespace);
    greet(listener.local_addr()?);
    let relay = relay(&database_url, &brokers, stop.clone());
    let (served, relayed) = tokio::join!(serve(listener, state, stop), relay);
    if let Some(postgres) = postgres {
        postgres.stop().await;
    }
    served.map_err(Error::from).and(relayed)
}

/// What `outbox-relay` does, inside this process. When it fails, the service ends with it.
async fn relay(database_url: &str, brokers: &str, stop: CancellationToken) -> Result<()> {
    let _ends_the_service = stop.clone().drop_guard();
    let relay = Relay::new(database_url.parse()?, brokers, RelayOptions::default())?;
    Ok(relay.run(stop).await?)
}

fn greet(address: SocketAddr) {
    println!(
        r#"listening on http://{address}, try:
  curl http://{address}/customers --json '{{"name": "Zoe"}}'
  curl http://{address}/orders --json '{{"customer_id": 1, "lines": [{{"product": "tea", "quantity": 2, "unit_price": "4.50"}}]}}'
  curl -X PATCH http://{address}/orders/1/lines/1 --json '{{"quantity": 3}}'
  curl -X PATCH http://{address}/customers/1 --json '{{"name": "Zoe Ltd"}}'
  curl http://{address}/orders/1
  curl -X POST http://{address}/orders/1/cancel"#
    );
}
