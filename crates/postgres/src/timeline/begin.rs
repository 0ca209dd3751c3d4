//! Starting a timeline of ours, in one transaction.
//!
//! What it does, in this order:
//! 1. It takes a snapshot `C0` **before** it has an id of its own, and only then locks the outbox against everybody. `C0` becomes every lane's
//!    cursor. Whoever was open at `C0` and writes later is listed in it; whoever began after it, we included, lies at or above its `xmax`: all of
//!    them are new to a lane at `C0`. (A snapshot taken with an id may count that very id as seen.)
//! 2. Under the lock it sets aside the rows that their lanes have not passed. What was passed is retired, and so are rows of topics without a
//!    lane. Ids of another cluster would otherwise be read again when this one comes to them.
//! 3. Numbers go on at `timeline << 48`, epochs at `timeline << 16`; neither ever goes down, also when this transaction fails half-way:
//!    `setval` is not undone.
//! 4. Quarantined rows get new numbers; they were passed, so these are the lowest. The other rows come back in their old order, with new ids and numbers, just behind the cursors. Their events, contents and times stay.
//! 5. A floor at `timeline << 48` replaces the old ones, so that genesis outranks what replicas hold of the lost future.
//! 6. Leases and the incarnation's token go: every relay forgets what it remembers.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{EPOCH_BITS, SEQ_BITS};
use crate::Error;

/// How long writers in their transactions are waited for; inserts queue behind us for as long.
const LOCK_TIMEOUT: &str = "10s";

/// What was begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// The number of the timeline.
    pub timeline: i64,
    /// Rows that no lane had passed: they have new numbers.
    pub renumbered: u64,
    /// Lanes.
    pub lanes: u64,
}

/// Starts the next timeline, at least number `at_least`. With `after`, only if that is still the stored one: `None` says that somebody else was
/// faster.
///
/// Producers wait while it runs; relays lose their lanes and take them again.
///
/// # Errors
/// [`Error::InRecovery`], [`Error::NoMoreTimelines`], [`Error::Statement`]: nothing has changed then.
///
/// # Cancel safety
/// Dropping it undoes it.
pub async fn begin(
    pool: &PgPool,
    at_least: i64,
    after: Option<i64>,
) -> Result<Option<Begun>, Error> {
    let at = || Error::at("starting a timeline");
    let mut tx = pool.begin().await.map_err(at())?;
    sqlx::raw_sql("set transaction isolation level read committed")
        .execute(&mut *tx)
        .await
        .map_err(at())?;
    if sqlx::query_scalar("select pg_is_in_recovery()")
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::at("asking whether the server is in recovery"))?
    {
        return Err(Error::InRecovery);
    }
    let cursor = lock(&mut tx).await.map_err(Error::at("locking the outbox"))?;
    let stored: i64 = sqlx::query_scalar("select timeline from dionysus.system")
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::at("reading the timeline"))?;
    if after.is_some_and(|after| stored > after) {
        return Ok(None);
    }
    let timeline = next(&mut tx, at_least.max(stored + 1)).await?;
    let begun = write(&mut tx, timeline, &cursor).await.map_err(at())?;
    tx.commit().await.map_err(at())?;
    Ok(Some(begun))
}

/// Returns `C0`.
async fn lock(tx: &mut PgConnection) -> Result<String, sqlx::Error> {
    let cursor =
        sqlx::query_scalar("select pg_current_snapshot()::text").fetch_one(&mut *tx).await?;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set local lock_timeout = '{LOCK_TIMEOUT}';
         set local synchronous_commit = on;
         lock table dionysus.outbox in access exclusive mode;
         lock table dionysus.relays, dionysus.lanes, dionysus.system in exclusive mode"
    )))
    .execute(&mut *tx)
    .await?;
    Ok(cursor)
}

/// At least the server's own: that one goes up by itself, also where the row that we keep was restored.
async fn next(tx: &mut PgConnection, at_least: i64) -> Result<i64, Error> {
    let server: i64 = sqlx::query_scalar(
        "select ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer::bigint",
    )
    .fetch_one(tx)
    .await
    .map_err(Error::at("reading the server's timeline"))?;
    let timeline = at_least.max(server);
    if timeline < 1 << (63 - SEQ_BITS) { Ok(timeline) } else { Err(Error::NoMoreTimelines) }
}

async fn write(tx: &mut PgConnection, timeline: i64, cursor: &str) -> Result<Begun, sqlx::Error> {
    let first_seq = timeline << SEQ_BITS;
    sqlx::raw_sql(SET_ASIDE).execute(&mut *tx).await?;
    clear(tx).await?;
    sqlx::query(
        "select setval('dionysus.outbox_seq', greatest($1, last_value)) from dionysus.outbox_seq",
    )
    .bind(first_seq)
    .execute(&mut *tx)
    .await?;
    sqlx::raw_sql(RENUMBER_QUARANTINE).execute(&mut *tx).await?;
    let renumbered = put_back(tx).await?;
    sqlx::raw_sql("delete from dionysus.floors; delete from dionysus.relays; delete from dionysus.incarnation")
        .execute(&mut *tx)
        .await?;
    sqlx::query("insert into dionysus.floors (seq, xid, leaf) values ($1, pg_current_xact_id(), 'dionysus.outbox')")
        .bind(first_seq)
        .execute(&mut *tx)
        .await?;
    let lanes = sqlx::query(
        "update dionysus.lanes
         set cursor = $1::pg_snapshot, window_end = null, window_seq = null, owner = null,
             epoch = greatest(epoch, $2), checkpointed_at = clock_timestamp()",
    )
    .bind(cursor)
    .bind(timeline << EPOCH_BITS)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    // The next look stores which server this is.
    sqlx::query(
        "update dionysus.system
         set timeline = $1, first_epoch = greatest(first_epoch, $2), looks = looks + 1, looked_at = clock_timestamp(),
             system_identifier = null, server_timeline = null, database_oid = null",
    )
    .bind(timeline)
    .bind(timeline << EPOCH_BITS)
    .execute(&mut *tx)
    .await?;
    Ok(Begun { timeline, renumbered, lanes })
}

/// The rows behind each lane's place. `kept_seq` is their old order.
const SET_ASIDE: &str = "
    create temp table dionysus_kept on commit drop as
    select o.*, o.seq as kept_seq
    from dionysus.lanes l
    cross join lateral (
        select * from dionysus.outbox r
        where r.topic = l.topic
          and (r.xid = any(array(select pg_snapshot_xip(l.cursor))) or r.xid >= pg_snapshot_xmax(l.cursor))
          and (l.window_seq is null or not pg_visible_in_snapshot(r.xid, l.window_end) or r.seq > l.window_seq)) as o";

/// Replicas may hold a number of the lost future for their keys.
const RENUMBER_QUARANTINE: &str = "
    update dionysus.quarantine q set seq = n.next
    from (select topic, seq, nextval('dionysus.outbox_seq') as next
          from (select topic, seq from dionysus.quarantine order by seq) as held) as n
    where q.topic = n.topic and q.seq = n.seq";

/// Empties the outbox, by the faster way that the role has.
async fn clear(tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let truncates: bool =
        sqlx::query_scalar("select has_table_privilege('dionysus.outbox', 'TRUNCATE')")
            .fetch_one(&mut *tx)
            .await?;
    let sql = if truncates { "truncate dionysus.outbox" } else { "delete from dionysus.outbox" };
    sqlx::query(sql).execute(tx).await?;
    Ok(())
}

/// With every column but the two that are given anew: those that later migrations add are in the catalogue.
async fn put_back(tx: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
         where attrelid = 'dionysus.outbox'::regclass and attnum > 0 and not attisdropped and attgenerated = ''
           and attname not in ('xid', 'seq')",
    )
    .fetch_one(&mut *tx)
    .await?;
    // The order by stands below the defaults, so numbers are drawn in that order.
    let sql = format!(
        "insert into dionysus.outbox ({columns}) select {columns} from dionysus_kept order by kept_seq"
    );
    Ok(sqlx::query(AssertSqlSafe(sql)).execute(tx).await?.rows_affected())
}
