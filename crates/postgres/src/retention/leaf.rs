//! The leaves of the outbox, and whom they wait for.

use std::time::Duration;

use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use crate::Error;

/// A partition.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Leaf {
    /// Quoted, with its schema.
    pub(super) name: String,
    /// It takes the rows of days without a partition.
    pub(super) is_default: bool,
    /// We may truncate and drop it.
    pub(super) owned: bool,
    /// For how many seconds its last row is old enough to go; negative if it is not yet, `None` without an upper bound.
    old_s: Option<f64>,
    /// Postgres's estimate.
    pub(super) rows: i64,
    /// On disk, indexes included.
    pub(super) bytes: i64,
}

impl Leaf {
    /// It may go by its age.
    pub(super) fn is_old(&self) -> bool {
        self.old_s.is_some_and(|old_s| old_s >= 0.0)
    }

    /// It could have gone a day ago.
    pub(super) fn is_old_for_long(&self) -> bool {
        self.old_s.is_some_and(|old_s| old_s >= 86_400.0)
    }
}

/// All of them, oldest first, the DEFAULT partition last.
pub(super) async fn all(conn: &mut PgConnection, keep: Duration) -> Result<Vec<Leaf>, Error> {
    sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname) as name,
                b.upper is null and pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT' as is_default,
                pg_has_role(c.relowner, 'USAGE') and pg_has_role(parent.relowner, 'USAGE') as owned,
                extract(epoch from clock_timestamp() - make_interval(secs => $1) - b.upper)::float8 as old_s,
                greatest(pg_stat_get_live_tuples(c.oid), c.reltuples::bigint, 0) as rows,
                pg_total_relation_size(c.oid) as bytes
         from pg_inherits i
         join pg_class c on c.oid = i.inhrelid
         join pg_class parent on parent.oid = i.inhparent
         join pg_namespace n on n.oid = c.relnamespace
         cross join lateral (
             select (substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)''\\)'))::timestamptz as upper) as b
         where i.inhparent = 'dionysus.outbox'::regclass and c.relkind = 'r'
         order by b.upper nulls last, name",
    )
    .bind(keep.as_secs_f64())
    .fetch_all(conn)
    .await
    .map_err(Error::at("listing the partitions of the outbox"))
}

/// What is known of a leaf's rows at one moment.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Look {
    /// The highest number; `None` if it holds no row that we see.
    pub(super) top_seq: Option<i64>,
    /// The lane that is furthest behind, if it has not passed every row.
    pub(super) held_by: Option<String>,
    /// A floor that covers it is committed.
    pub(super) is_floored: bool,
    /// And no transaction from before that floor is open.
    pub(super) is_settled: bool,
    /// It is still a part of the outbox.
    pub(super) is_attached: bool,
}

/// Looks, in one statement and so at one moment. Two entries of indexes, whatever the leaf's size.
pub(super) async fn look(conn: &mut PgConnection, leaf: &Leaf) -> Result<Look, sqlx::Error> {
    let name = &leaf.name;
    // The name comes quoted from the catalogue.
    sqlx::query_as(AssertSqlSafe(format!(
        "with top as materialized (
             select (select xid from {name} order by xid desc limit 1) as xid,
                    (select seq from {name} order by seq desc limit 1) as seq),
         floors as materialized (
             select f.xid from dionysus.floors f, top where f.seq >= top.seq)
         select top.seq as top_seq,
                (select l.topic from dionysus.lanes l where pg_snapshot_xmin(l.cursor) <= top.xid
                 order by pg_snapshot_xmin(l.cursor), l.topic limit 1) as held_by,
                exists (select from floors) as is_floored,
                exists (select from floors where xid < pg_snapshot_xmin(pg_current_snapshot())) as is_settled,
                exists (select from pg_inherits
                        where inhrelid = $1::regclass and inhparent = 'dionysus.outbox'::regclass) as is_attached
         from top"
    )))
    .bind(name)
    .fetch_one(conn)
    .await
}

/// Whether rows may be deleted where leaves may not be truncated.
pub(super) async fn may_delete(conn: &mut PgConnection) -> Result<bool, Error> {
    sqlx::query_scalar("select has_table_privilege('dionysus.outbox', 'DELETE')")
        .fetch_one(conn)
        .await
        .map_err(Error::at("asking for our rights on the outbox"))
}

/// The lane that has not passed the first row that is old enough; `None` if there is no such row or lane. Reads from the front by number.
pub(super) async fn first_holder(
    conn: &mut PgConnection,
    keep: Duration,
) -> Result<Option<String>, Error> {
    sqlx::query_scalar(
        "with first as materialized (
             select xid, created_at from dionysus.outbox order by seq limit 1)
         select l.topic from dionysus.lanes l, first
         where first.created_at < clock_timestamp() - make_interval(secs => $1)
           and pg_snapshot_xmin(l.cursor) <= first.xid
         order by pg_snapshot_xmin(l.cursor), l.topic limit 1",
    )
    .bind(keep.as_secs_f64())
    .fetch_optional(conn)
    .await
    .map_err(Error::at("looking for the lane that holds the oldest row"))
}
