//! The lease of a relay: one row, kept alive by heartbeats, judged by the database's clock.

use std::time::Duration;

use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::Error;

/// What a heartbeat finds.
#[derive(Clone, Copy, Debug, Default, Eq, FromRow, PartialEq)]
pub struct Heartbeat {
    /// Whether the lease was still ours and is extended. If not, other relays may own our lanes already.
    pub alive: bool,
    /// Relays whose lease runs, ours included.
    pub relays: i64,
    /// All lanes.
    pub lanes: i64,
    /// Lanes without an owner, or whose owner's lease has run out.
    pub claimable: i64,
    /// Milliseconds until the next lease of another relay runs out.
    pub next_expiry_ms: Option<i64>,
}

/// Joins: takes a lease of `ttl`.
///
/// # Errors
/// [`Error::Statement`].
pub async fn join(pool: &PgPool, id: Uuid, name: &str, ttl: Duration) -> Result<(), Error> {
    sqlx::query(
        "insert into dionysus.relays (id, name, expires_at) values ($1, $2, clock_timestamp() + make_interval(secs => $3))",
    )
    .bind(id)
    .bind(name)
    .bind(ttl.as_secs_f64())
    .execute(pool)
    .await
    .map_err(Error::at("joining the relays"))?;
    Ok(())
}

/// Extends the lease, unless it has run out, and looks around.
///
/// # Errors
/// [`Error::Statement`].
pub async fn heartbeat(pool: &PgPool, id: Uuid, ttl: Duration) -> Result<Heartbeat, Error> {
    sqlx::query_as(
        "with beat as (
             update dionysus.relays
             set heartbeat_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => $2)
             where id = $1 and expires_at > clock_timestamp()
             returning id),
         live as (select id, expires_at from dionysus.relays where expires_at > clock_timestamp())
         select exists (select from beat) as alive,
                (select count(*) from live) as relays,
                (select count(*) from dionysus.lanes) as lanes,
                (select count(*) from dionysus.lanes
                 where owner is null or owner not in (select id from live)) as claimable,
                (select ceil(extract(epoch from min(expires_at) - clock_timestamp()) * 1000)::bigint
                 from live where id <> $1) as next_expiry_ms",
    )
    .bind(id)
    .bind(ttl.as_secs_f64())
    .fetch_one(pool)
    .await
    .map_err(Error::at("extending the relay's lease"))
}

/// Leaves: gives up the lease and every lane it still holds, and tells the others.
///
/// # Errors
/// [`Error::Statement`].
pub async fn leave(pool: &PgPool, id: Uuid) -> Result<(), Error> {
    sqlx::query(
        "with gone as (delete from dionysus.relays where id = $1 returning id)
         select pg_notify($2, '') from gone",
    )
    .bind(id)
    .bind(crate::lanes::LANES_CHANNEL)
    .execute(pool)
    .await
    .map_err(Error::at("leaving the relays"))?;
    Ok(())
}

/// A relay as people see it.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub struct Relay {
    /// Its identity, new with every start.
    pub id: Uuid,
    /// The name it was given.
    pub name: String,
    /// Seconds since it joined.
    pub uptime_s: f64,
    /// Seconds until its lease runs out; negative if it has.
    pub lease_s: f64,
    /// How many lanes it owns.
    pub lanes: i64,
}

/// All relays with a row, the dead included, by name.
///
/// # Errors
/// [`Error::Statement`].
pub async fn all(pool: &PgPool) -> Result<Vec<Relay>, Error> {
    sqlx::query_as(
        "select r.id, r.name,
                extract(epoch from clock_timestamp() - r.started_at)::float8 as uptime_s,
                extract(epoch from r.expires_at - clock_timestamp())::float8 as lease_s,
                (select count(*) from dionysus.lanes l where l.owner = r.id) as lanes
         from dionysus.relays r order by r.name, r.id",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading the relays"))
}
