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
             insert into dionysus.lanes (topic, epoch)
             select name, coalesce((select first_epoch from dionysus.system), 0) from changed
             on conflict do nothing returning topic)
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

/// Ends a topic's lane and forgets its registration, with its genesis runs and its quarantine: nothing of it is published any more, and it
/// holds no retention. What waits in the outbox stays there until it is old. An application that registers the topic again opens a new lane at the
/// beginning of what is retained, in a later epoch.
///
/// # Errors
/// [`Error::TopicNotRegistered`], [`Error::Statement`].
pub async fn retire(pool: &PgPool, topic: &str) -> Result<(), Error> {
    let at = || Error::at("retiring a topic");
    let mut tx = pool.begin().await.map_err(at())?;
    sqlx::query("delete from dionysus.quarantine where topic = $1")
        .bind(topic)
        .execute(&mut *tx)
        .await
        .map_err(at())?;
    let epoch: Option<i64> =
        sqlx::query_scalar("delete from dionysus.lanes where topic = $1 returning epoch")
            .bind(topic)
            .fetch_optional(&mut *tx)
            .await
            .map_err(at())?;
    // An epoch is never used twice.
    sqlx::query("update dionysus.system set first_epoch = greatest(first_epoch, $1)")
        .bind(epoch.unwrap_or(0))
        .execute(&mut *tx)
        .await
        .map_err(at())?;
    sqlx::query("delete from dionysus.genesis_runs where topic = $1")
        .bind(topic)
        .execute(&mut *tx)
        .await
        .map_err(at())?;
    let gone = sqlx::query("delete from dionysus.topics where name = $1")
        .bind(topic)
        .execute(&mut *tx)
        .await
        .map_err(at())?;
    if gone.rows_affected() == 0 {
        return Err(Error::TopicNotRegistered { topic: topic.to_owned() });
    }
    tx.commit().await.map_err(at())
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
