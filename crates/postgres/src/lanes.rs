//! Lanes: who owns a topic, and how far it has come.

use dionysus_core::{Cursor, Snapshot};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row};
use uuid::Uuid;

use crate::Error;
use crate::quarantine::Held;

/// The channel on which a change of lanes is told: opened, released, given up.
pub const LANES_CHANNEL: &str = "dionysus_lanes";

/// A lane that is ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The primary topic.
    pub topic: String,
    /// Whether each message also goes to the twin topic.
    pub genesis_replica: bool,
    /// Our number in the line of owners.
    pub epoch: i64,
    /// Where the last owner left off.
    pub cursor: Cursor,
}

/// A place to store, for a lane we own.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    /// The lane.
    pub topic: &'a str,
    /// The epoch in which we own it.
    pub epoch: i64,
    /// Everything before it was acknowledged.
    pub cursor: &'a Cursor,
}

/// Claims up to `limit` lanes that nobody owns, none of them in `except`, after ending the leases that have run out.
///
/// The first statement deletes expired leases and thereby waits for a heartbeat that is under way: without that lock a lease could be
/// extended by a transaction that commits after our look. The foreign key then frees their lanes, so that *owner is null* is
/// the whole condition, one that Postgres checks again on the locked row.
///
/// # Errors
/// [`Error::Statement`], [`Error::Snapshot`].
pub async fn claim(
    pool: &PgPool,
    relay: Uuid,
    limit: i64,
    except: &[String],
) -> Result<Vec<Claimed>, Error> {
    let at = || Error::at("claiming lanes");
    let mut tx = pool.begin().await.map_err(at())?;
    sqlx::query("delete from dionysus.relays where expires_at <= clock_timestamp() and id <> $1")
        .bind(relay)
        .execute(&mut *tx)
        .await
        .map_err(at())?;
    let rows = sqlx::query(
        "with free as (
             select topic from dionysus.lanes where owner is null and topic <> all($3) order by topic limit $2
             for update skip locked)
         update dionysus.lanes l
         set owner = r.id, epoch = l.epoch + 1, claimed_at = clock_timestamp()
         from free, dionysus.topics t, dionysus.relays r
         where l.topic = free.topic and t.name = l.topic and r.id = $1 and r.expires_at > clock_timestamp()
         returning l.topic, t.genesis_replica, l.epoch,
                   l.cursor::text as cursor, l.window_end::text as window_end, l.window_seq",
    )
    .bind(relay)
    .bind(limit)
    .bind(except)
    .fetch_all(&mut *tx)
    .await
    .map_err(at())?;
    tx.commit().await.map_err(at())?;
    rows.iter().map(claimed).collect()
}

/// The lanes we own, with their stored cursors: what a relay knows again after it has forgotten its memory.
///
/// # Errors
/// [`Error::Statement`], [`Error::Snapshot`].
pub async fn owned(pool: &PgPool, relay: Uuid) -> Result<Vec<Claimed>, Error> {
    let rows = sqlx::query(
        "select l.topic, t.genesis_replica, l.epoch,
                l.cursor::text as cursor, l.window_end::text as window_end, l.window_seq
         from dionysus.lanes l join dionysus.topics t on t.name = l.topic
         join dionysus.relays r on r.id = l.owner
         where l.owner = $1 and r.expires_at > clock_timestamp()",
    )
    .bind(relay)
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading our lanes"))?;
    rows.iter().map(claimed).collect()
}

fn claimed(row: &PgRow) -> Result<Claimed, Error> {
    let read = || -> Result<_, sqlx::Error> {
        Ok((
            row.try_get::<String, _>("topic")?,
            row.try_get::<bool, _>("genesis_replica")?,
            row.try_get::<i64, _>("epoch")?,
            row.try_get::<&str, _>("cursor")?,
            row.try_get::<Option<&str>, _>("window_end")?,
            row.try_get::<Option<i64>, _>("window_seq")?,
        ))
    };
    let (topic, genesis_replica, epoch, from, to, seq) =
        read().map_err(Error::at("reading a lane"))?;
    let from: Snapshot = from.parse()?;
    let cursor = match (to, seq) {
        (Some(to), Some(seq)) => Cursor::Inside { from, to: to.parse()?, seq },
        _ => Cursor::At(from),
    };
    Ok(Claimed { topic, genesis_replica, epoch, cursor })
}

/// Stores cursors, all in one statement, each only if we still own the lane in that epoch and Postgres has not crashed since `token` was read.
/// The rows of `held` that belong to a stored lane are set aside by the same statement: they lie before its cursor. Returns the topics that were stored;
/// the others are not ours any more, or all are missing because the token has changed.
///
/// # Errors
/// [`Error::Statement`].
pub async fn checkpoint(
    pool: &PgPool,
    relay: Uuid,
    token: Uuid,
    places: &[Checkpoint<'_>],
    held: &[Held<'_>],
) -> Result<Vec<String>, Error> {
    store(pool, relay, token, places, held, false).await
}

/// Stores the last cursors of lanes, as [`checkpoint`] does, and gives the lanes up, in one statement.
///
/// # Errors
/// [`Error::Statement`].
pub async fn release(
    pool: &PgPool,
    relay: Uuid,
    token: Uuid,
    places: &[Checkpoint<'_>],
    held: &[Held<'_>],
) -> Result<Vec<String>, Error> {
    let released = store(pool, relay, token, places, held, true).await?;
    if !released.is_empty() {
        sqlx::query("select pg_notify($1, '')")
            .bind(LANES_CHANNEL)
            .execute(pool)
            .await
            .map_err(Error::at("telling of released lanes"))?;
    }
    Ok(released)
}

async fn store(
    pool: &PgPool,
    relay: Uuid,
    token: Uuid,
    places: &[Checkpoint<'_>],
    held: &[Held<'_>],
    release: bool,
) -> Result<Vec<String>, Error> {
    let window = |cursor: &Cursor| match cursor {
        Cursor::At(_) => None,
        Cursor::Inside { to, seq, .. } => Some((to.to_string(), *seq)),
    };
    let windows: Vec<_> = places.iter().map(|place| window(place.cursor)).collect();
    // Synchronous commit: only a durable write makes a cursor valid.
    sqlx::query_scalar(
        "with stored as (
             update dionysus.lanes l
             set cursor = p.cursor::pg_snapshot, window_end = p.window_end::pg_snapshot, window_seq = p.window_seq,
                 checkpointed_at = clock_timestamp(), owner = case when $7 then null else l.owner end
             from unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $8::bigint[])
                  as p (topic, epoch, cursor, window_end, window_seq)
             where l.topic = p.topic and l.owner = $1 and l.epoch = p.epoch
               and (select token from dionysus.incarnation) = $2
               and (select set_config('synchronous_commit', 'on', true)) is not null
             returning l.topic),
         held as (
             insert into dionysus.quarantine (topic, seq, key, cause, retry_at, created_at, event_id, partition_key, event, model,
                                              model_id, payload, headers, capture)
             select o.topic, o.seq, o.key, h.cause, clock_timestamp() + make_interval(secs => h.retry_in), o.created_at, o.event_id,
                    o.partition_key, o.event, o.model, o.model_id, o.payload, o.headers, o.capture
             from unnest($9::text[], $10::bigint[], $11::timestamptz[], $12::text[], $13::float8[])
                  as h (topic, seq, created_at, cause, retry_in)
             join stored on stored.topic = h.topic
             join dionysus.outbox o on o.seq = h.seq and o.created_at = h.created_at
             on conflict do nothing)
         select topic from stored",
    )
    .bind(relay)
    .bind(token)
    .bind(places.iter().map(|place| place.topic).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.epoch).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.cursor.passed().to_string()).collect::<Vec<_>>())
    .bind(windows.iter().map(|w| w.as_ref().map(|(to, _)| to.as_str())).collect::<Vec<_>>())
    .bind(release)
    .bind(windows.iter().map(|w| w.as_ref().map(|(_, seq)| *seq)).collect::<Vec<_>>())
    .bind(held.iter().map(|row| row.topic).collect::<Vec<_>>())
    .bind(held.iter().map(|row| row.seq).collect::<Vec<_>>())
    .bind(held.iter().map(|row| row.created_at).collect::<Vec<_>>())
    .bind(held.iter().map(|row| row.cause).collect::<Vec<_>>())
    .bind(held.iter().map(|row| row.retry_in.map(|wait| wait.as_secs_f64())).collect::<Vec<_>>())
    .fetch_all(pool)
    .await
    .map_err(Error::at("storing cursors"))
}

/// A lane as people see it.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub struct Lane {
    /// The primary topic.
    pub topic: String,
    /// Whether each message also goes to the twin topic.
    pub genesis_replica: bool,
    /// The name of the relay that owns it, if its lease runs.
    pub owner: Option<String>,
    /// How many owners it has had.
    pub epoch: i64,
    /// The stored snapshot, in Postgres's text form.
    pub cursor: String,
    /// Whether it is inside a large window.
    pub in_window: bool,
    /// Seconds since its place was last stored.
    pub checkpoint_age_s: Option<f64>,
    /// Rows that wait, counted up to 10,000.
    pub pending: i64,
    /// Age of the oldest of those, in seconds.
    pub oldest_pending_s: Option<f64>,
    /// Rows in quarantine: refused ones, and those that wait behind them.
    pub quarantined: i64,
}

/// All lanes, by topic.
///
/// # Errors
/// [`Error::Statement`].
pub async fn all(pool: &PgPool) -> Result<Vec<Lane>, Error> {
    sqlx::query_as(
        "select l.topic, t.genesis_replica, r.name as owner, l.epoch, l.cursor::text as cursor,
                l.window_end is not null as in_window,
                extract(epoch from clock_timestamp() - l.checkpointed_at)::float8 as checkpoint_age_s,
                w.pending, extract(epoch from clock_timestamp() - w.oldest)::float8 as oldest_pending_s,
                (select count(*) from dionysus.quarantine q where q.topic = l.topic) as quarantined
         from dionysus.lanes l
         join dionysus.topics t on t.name = l.topic
         left join dionysus.relays r on r.id = l.owner and r.expires_at > clock_timestamp()
         cross join lateral (
             select count(*) as pending, min(created_at) as oldest
             from (select o.created_at from dionysus.outbox o
                   where o.topic = l.topic
                     and (o.xid = any(array(select pg_snapshot_xip(l.cursor)))
                          or o.xid >= pg_snapshot_xmax(l.cursor))
                     and (l.window_seq is null or not pg_visible_in_snapshot(o.xid, l.window_end) or o.seq > l.window_seq)
                   limit 10000) as waiting) as w
         order by l.topic",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading the lanes"))
}
