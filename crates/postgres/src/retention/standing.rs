//! Figures for people and metrics.

use std::fmt;
use std::time::Duration;

use sqlx::{FromRow, PgConnection};

use crate::Error;

/// How the outbox stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Partitions.
    pub leaves: u64,
    /// Bytes of all of them on disk, indexes included.
    pub bytes: u64,
    /// The partition of the first row by number; `None` if the outbox is empty.
    pub oldest_leaf: Option<String>,
    /// For how long that partition (in DEFAULT: that row) has been older than `keep`; zero if it is not.
    pub overdue: Duration,
    /// Why it is still there, if it is overdue and something holds it.
    pub held_by: Option<Hold>,
}

/// What retention waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Hold {
    /// This lane, of all the one that is furthest behind, has not passed the rows.
    Lane {
        /// The lane.
        topic: String,
    },
    /// A transaction that began before the floor was written is still open, anywhere in the cluster.
    OpenTransaction,
    /// The partition's lock was not had in time.
    Lock {
        /// The partition.
        leaf: String,
    },
    /// The role may neither truncate partitions nor delete rows.
    Rights,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lane { topic } => write!(f, "lane `{topic}` has not passed it"),
            Self::OpenTransaction => f.write_str("a transaction is open that began before"),
            Self::Lock { leaf } => write!(f, "somebody uses {leaf}"),
            Self::Rights => f.write_str("the role may neither truncate nor delete"),
        }
    }
}

#[derive(FromRow)]
struct Line {
    leaves: i64,
    bytes: i64,
    oldest_leaf: Option<String>,
    overdue_s: Option<f64>,
}

pub(super) async fn read(
    conn: &mut PgConnection,
    keep: Duration,
    hold: Option<Hold>,
) -> Result<Standing, Error> {
    let line: Line = sqlx::query_as(
        "with first as materialized (
             select tableoid, created_at from dionysus.outbox order by seq limit 1)
         select (select count(*) from pg_partition_tree('dionysus.outbox') where isleaf) as leaves,
                (select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
                 from pg_partition_tree('dionysus.outbox') where isleaf) as bytes,
                (select tableoid::regclass::text from first) as oldest_leaf,
                (select extract(epoch from clock_timestamp() - make_interval(secs => $1) - coalesce(b.upper, first.created_at))::float8
                 from first join pg_class c on c.oid = first.tableoid
                 cross join lateral (
                     select (substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)''\\)'))::timestamptz as upper) as b
                ) as overdue_s",
    )
    .bind(keep.as_secs_f64())
    .fetch_one(conn)
    .await
    .map_err(Error::at("measuring the outbox"))?;
    let overdue_s = line.overdue_s.unwrap_or(0.0).max(0.0);
    let overdue = Duration::try_from_secs_f64(overdue_s).unwrap_or_default();
    Ok(Standing {
        leaves: u64::try_from(line.leaves).unwrap_or(0),
        bytes: u64::try_from(line.bytes).unwrap_or(0),
        oldest_leaf: line.oldest_leaf,
        overdue,
        held_by: hold.filter(|_| overdue > Duration::ZERO),
    })
}
