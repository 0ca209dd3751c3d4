//! Reading the application's own tables at commit: aggregate roots, their parts, and the dependants of what changed.
//!
//! # Locks
//! [`read`] and [`lock`] take `for no key update` in the order of the primary key, which is what lets a snapshot that spans several tables be
//! published in order (ARCHITECTURE.md, "The root lock"). After a wait the locked row itself is read in its newest version; a row
//! that appeared meanwhile is not seen, but its own transaction publishes it.
//!
//! # READ COMMITTED only
//! Above it a statement sees the state of the transaction's beginning, which is older than the lock: another transaction's part would be missing from
//! a snapshot with a higher number. So each statement here refuses to run there ([`Error::AboveReadCommitted`]), by a condition that is evaluated once
//! and costs no round trip.
//!
//! # Types
//! Ids come as text and are cast to the column's type, so that its index is used. [`ColumnTypes`] asks the catalog once.

mod column_types;
mod path;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};

pub use column_types::{ColumnName, ColumnTypes};
pub use path::{Hop, Path};

use crate::Error;
use crate::replicas::quoted;

/// Raises an error that names us, above READ COMMITTED. (READ UNCOMMITTED is the same to Postgres.)
const READ_COMMITTED_ONLY: &str = "(select case when current_setting('transaction_isolation') in ('read committed', 'read uncommitted') then true
          else current_setting('dionysus.needs_read_committed') is not null end)";

/// Where instances are read from.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Source {
    /// The table: `rentals`, or `schema.rentals`.
    pub table: &'static str,
    /// The column of its primary key.
    pub primary_key: &'static str,
    /// The query whose rows are read in place of the table's; it must yield the column that is asked for, and the primary key.
    pub select: Option<&'static str>,
}

/// Rows whose `column` holds one of `values`, in order of the primary key; with `lock`, locked. A source with a query of its own can't be
/// locked by reading it: [`lock`] it first.
///
/// # Errors
/// [`Error::AboveReadCommitted`], [`Error::Statement`].
///
/// # Cancel safety
/// Not cancel safe: the connection is left amid a statement.
pub async fn read(
    conn: &mut PgConnection,
    types: &ColumnTypes,
    source: Source,
    column: &str,
    values: &[String],
    lock: bool,
) -> Result<Vec<PgRow>, Error> {
    let cast = types.of(conn, source.table, column).await?;
    let (from, column, key) = (relation(source), quoted(column), quoted(source.primary_key));
    let locking = if lock { " for no key update" } else { "" };
    let sql = format!(
        "select t.* from {from} t where t.{column} = any($1::text[]::{cast}[]) and {READ_COMMITTED_ONLY} order by t.{key}{locking}"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(values).fetch_all(conn).await;
    types.judge(rows, "reading instances")
}

/// Locks rows by primary key, in its order.
///
/// # Errors
/// As for [`read`].
///
/// # Cancel safety
/// As for [`read`].
pub async fn lock(
    conn: &mut PgConnection,
    types: &ColumnTypes,
    source: Source,
    ids: &[String],
) -> Result<(), Error> {
    let cast = types.of(conn, source.table, source.primary_key).await?;
    let (table, key) = (qualified(source.table), quoted(source.primary_key));
    let sql = format!(
        "select from {table} t where t.{key} = any($1::text[]::{cast}[]) and {READ_COMMITTED_ONLY} order by t.{key} for no key update"
    );
    let done = sqlx::query(AssertSqlSafe(sql)).bind(ids).execute(conn).await;
    types.judge(done, "locking instances").map(|_| ())
}

/// The ids of the instances of `source` to which `path` leads from any of `values`, at most `limit`, in no order.
///
/// # Errors
/// As for [`read`].
///
/// # Cancel safety
/// As for [`read`].
pub async fn find(
    conn: &mut PgConnection,
    types: &ColumnTypes,
    source: Source,
    path: &Path,
    values: &[String],
    limit: i64,
) -> Result<Vec<String>, Error> {
    let (table, column) = path.first(source);
    let cast = types.of(conn, table, column).await?;
    let (joins, first) = path.joins(source.primary_key);
    let (table, key, column) =
        (qualified(source.table), quoted(source.primary_key), quoted(column));
    let sql = format!(
        "select distinct t.{key}::text from {table} t{joins} where {first}.{column} = any($1::text[]::{cast}[]) and {READ_COMMITTED_ONLY} limit $2"
    );
    let ids = sqlx::query_scalar(AssertSqlSafe(sql)).bind(values).bind(limit).fetch_all(conn).await;
    types.judge(ids, "looking for instances")
}

fn relation(source: Source) -> String {
    match source.select {
        Some(query) => format!("({query})"),
        None => qualified(source.table),
    }
}

/// `schema.table`, each part quoted.
fn qualified(table: &str) -> String {
    table.split('.').map(quoted).collect::<Vec<_>>().join(".")
}
