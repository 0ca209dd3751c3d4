//! Starts embedded servers for a shell or a test: `dionysus-embedded [postgres] [broker] [kafka] [redis]`. Prints
//! `DATABASE_URL=`, `KAFKA_BROKERS=` and `REDIS_URL=` lines, then holds the servers until its standard input ends or it is killed.

use std::io::Read as _;
use std::process::ExitCode;

use dionysus_embedded::{Broker, Error, Kafka, KafkaOptions, Postgres, PostgresOptions, Redis};

const USAGE: &str = "usage: dionysus-embedded [postgres] [broker | kafka] [redis]";

#[tokio::main]
async fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known = |name: &String| ["postgres", "broker", "kafka", "redis"].contains(&name.as_str());
    if wanted.is_empty() || !wanted.iter().all(known) {
        say(std::io::stderr(), USAGE);
        return ExitCode::from(2);
    }
    match hold(&wanted).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(std::io::stderr(), &error.explained());
            ExitCode::FAILURE
        }
    }
}

async fn hold(wanted: &[String]) -> Result<(), Error> {
    let has = |name: &str| wanted.iter().any(|wanted| wanted == name);
    let mut postgres = None;
    let mut broker = None;
    let mut kafka = None;
    let mut redis = None;
    if has("postgres") {
        let server = Postgres::start(PostgresOptions::default()).await?;
        say(std::io::stdout(), &format!("DATABASE_URL={}", server.url()));
        postgres = Some(server);
    }
    if has("broker") {
        let server = Broker::start().await?;
        say(std::io::stdout(), &format!("KAFKA_BROKERS={}", server.bootstrap()));
        broker = Some(server);
    }
    if has("kafka") {
        let server = Kafka::start(KafkaOptions::default()).await?;
        say(std::io::stdout(), &format!("KAFKA_BROKERS={}", server.bootstrap()));
        kafka = Some(server);
    }
    if has("redis") {
        let server = Redis::start().await?;
        say(std::io::stdout(), &format!("REDIS_URL={}", server.url()));
        redis = Some(server);
    }
    // A thread of its own: the servers need none of ours.
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    drop(ended.await);
    if let Some(server) = postgres {
        server.stop().await;
    }
    if let Some(server) = kafka {
        server.stop().await;
    }
    if let Some(server) = redis {
        server.stop().await;
    }
    drop(broker);
    Ok(())
}

/// Nobody who reads is no reason to end the servers.
fn say(mut to: impl std::io::Write, line: &str) {
    drop(writeln!(to, "{line}"));
    drop(to.flush());
}
