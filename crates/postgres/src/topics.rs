//! The registered topology: relay and command line know topics and models from here, without a file.

use sqlx::{FromRow, PgConnection, PgPool};

use crate::Error;
use crate::lanes::LANES_CHANNEL;

/// A topic as the application declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The primary topic's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether each message also goes to `<name>_genesis`.
    pub genesis_replica: bool,
    /// Models, tables, keys and columns.
    pub topology: serde_json::Value,
}

/// A topic as the database knows it.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub struct Registered {
    /// The primary topic's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether each message also goes to `<name>_genesis`.
    pub genesis_replica: bool,
    /// Models, tables, keys and columns.
    pub topology: serde_json::Value,
}

/// Registers topics and opens a lane for each new one. A new lane starts at the beginning of the retained outbox, so registering
/// late can't lose a row. Writes nothing when nothing has changed, so many processes may start at once.
///
/// # Errors
/// [`Error::Statement`].
pub async fn register(conn: &mut PgConnection, topics: &[Registration]) -> Result<(), Error> {
    sqlx::query(
        "with declared as (
             select * from unnest($1::text[], $2::text[], $3::bool[], $4::jsonb[]) as d (name, namespace, genesis_replica, topology)
             order by name),
         changed as (
             insert into dionysus.topics as t (name, namespace, genesis_replica, topology)
             select d.name, d.namespace, d.genesis_replica, d.topology from declared d
             where not exists (select from dionysus.topics k where k.name = d.name and k.namespace = d.namespace
                               and k.genesis_replica = d.genesis_replica and k.topology = d.topology)
             on conflict (name) do update
                 set namespace = excluded.namespace, genesis_replica = excluded.genesis_replica,
                     topology = excluded.topology, registered_at = now()
             returning t.name),
         opened as (
             insert into dionysus.lanes (topic) select name from changed on conflict do nothing returning topic)
         select pg_notify($5, '') from opened limit 1",
    )
    .bind(topics.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>())
    .bind(topics.iter().map(|topic| topic.namespace.as_str()).collect::<Vec<_>>())
    .bind(topics.iter().map(|topic| topic.genesis_replica).collect::<Vec<_>>())
    .bind(topics.iter().map(|topic| topic.topology.clone()).collect::<Vec<_>>())
    .bind(LANES_CHANNEL)
    .execute(conn)
    .await
    .map_err(Error::at("registering the topology"))?;
    Ok(())
}

/// All registered topics, by name.
///
/// # Errors
/// [`Error::Statement`].
pub async fn all(pool: &PgPool) -> Result<Vec<Registered>, Error> {
    sqlx::query_as(
        "select name, namespace, genesis_replica, topology from dionysus.topics order by name",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading the registered topics"))
}
