//! A rental agency keeps its rentals; a search service keeps a copy. `cargo run -p quickstart` shows a change travel from the
//! agency's transaction through the outbox, the relay and Kafka into the copy, on servers that it starts itself.
//! Set `DATABASE_URL` or `KAFKA_BROKERS` to use yours.

mod servers;

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use dionysus::consumer::Consumer;
use dionysus::relay::{Relay, RelayOptions};
use dionysus::{Outbox, Publishable, Replica, Topology};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// What the agency publishes: the fields are the attributes on the wire.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow, Publishable)]
#[publishable(table = "rentals", partition_key = "account_id")]
struct Rental {
    id: i64,
    account_id: i64,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    canceled_at: Option<DateTime<Utc>>,
}
