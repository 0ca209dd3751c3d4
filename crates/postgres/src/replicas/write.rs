//! Set-based writes of a replica's rows.
//!
//! Identifiers come from the catalog and are quoted; everything else is bound.

use std::borrow::Cow;
use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, PgConnection};

use super::catalog::Table;
use crate::Error;

/// Rows of one shape: they set the same columns.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The indexes of the columns that are set, the id's first.
    pub columns: Vec<usize>,
    /// For each of these columns the rows' values, as [`Column::text_of`](super::Column::text_of) makes them.
    pub values: Vec<Vec<Option<Cow<'a, str>>>>,
    /// A boolean column that turns false in rows where it is true.
    pub revive: Option<usize>,
}

/// An identifier, quoted.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn target(table: &Table) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

/// Inserts the rows, or updates those whose id is there; columns that are not named stay as they are. Returns the number of rows.
///
/// Columns `created_at` and `updated_at` that the table demands without giving a default, as Rails makes them, take the transaction's time.
///
/// # Errors
/// [`Error::Statement`]: a value that its column can't take, a constraint of the table, a lost connection.
pub async fn upsert(conn: &mut PgConnection, table: &Table, rows: Rows<'_>) -> Result<u64, Error> {
    let mut query = sqlx::query(AssertSqlSafe(upsert_sql(table, &rows)));
    for column in rows.values {
        query = query.bind(column);
    }
    let done = query.execute(conn).await.map_err(Error::at("writing rows of a replica"))?;
    Ok(done.rows_affected())
}

fn upsert_sql(table: &Table, rows: &Rows<'_>) -> String {
    let column = |index: usize| &table.columns[index];
    let mut names: Vec<String> =
        rows.columns.iter().map(|&index| quoted(&column(index).name)).collect();
    let mut values: Vec<String> = rows
        .columns
        .iter()
        .enumerate()
        .map(|(i, &index)| column(index).cast(&format!("r.c{i}")))
        .collect();
    let mut sets: Vec<String> =
        names[1..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
    for (index, stamp) in table.columns.iter().enumerate() {
        if stamp.is_demanded_stamp() && !rows.columns.contains(&index) {
            names.push(quoted(&stamp.name));
            values.push(stamp.now().to_owned());
            if stamp.name == "updated_at" {
                sets.push(format!("{0} = excluded.{0}", quoted(&stamp.name)));
            }
        }
    }
    if let Some(index) = rows.revive {
        // A null stays null: nobody ever said that the instance was gone.
        sets.push(format!(
            "{0} = case when t.{0} then false else t.{0} end",
            quoted(&column(index).name)
        ));
    }
    let id = &names[0];
    let mut sql = format!(
        "insert into {} as t ({}) select {} from unnest(",
        target(table),
        names.join(", "),
        values.join(", ")
    );
    for i in 0..rows.columns.len() {
        // Writing to a string can't fail.
        write!(sql, "{}${}::text[]", if i == 0 { "" } else { ", " }, i + 1).unwrap_or_default();
    }
    sql.push_str(") as r (");
    for i in 0..rows.columns.len() {
        write!(sql, "{}c{i}", if i == 0 { "" } else { ", " }).unwrap_or_default();
    }
    let action = if sets.is_empty() {
        "nothing".to_owned()
    } else {
        format!("update set {}", sets.join(", "))
    };
    write!(sql, ") on conflict ({id}) do {action}").unwrap_or_default();
    sql
}

/// Deletes the rows with these ids; ids that are not there are no fault. Returns the number of rows.
///
/// # Errors
/// [`Error::Statement`].
pub async fn delete(
    conn: &mut PgConnection,
    table: &Table,
    id: usize,
    ids: &[&str],
) -> Result<u64, Error> {
    if ids.is_empty() {
        return Ok(0);
    }
    let id = &table.columns[id];
    let sql = format!(
        "delete from {} where {} = any($1::text[]::{}[])",
        target(table),
        quoted(&id.name),
        id.type_name
    );
    let done = sqlx::query(AssertSqlSafe(sql))
        .bind(ids)
        .execute(conn)
        .await
        .map_err(Error::at("deleting rows of a replica"))?;
    Ok(done.rows_affected())
}

/// As [`delete`]; returns, for each id in the order of the slice, the value that its row had in the column `time`, as microseconds since 1970.
///
/// # Errors
/// [`Error::Statement`].
pub async fn delete_remembering(
    conn: &mut PgConnection,
    table: &Table,
    id: usize,
    time: usize,
    ids: &[&str],
) -> Result<Vec<Option<i64>>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (id, time) = (&table.columns[id], &table.columns[time]);
    let sql = format!(
        "with gone as (delete from {0} where {1} = any($1::text[]::{2}[])
                       returning {1} as id, case when isfinite({3}) then (extract(epoch from {3}) * 1000000)::bigint end as time)
         select gone.time from unnest($1::text[]) with ordinality as r (id, ord) left join gone on gone.id = r.id::{2}
         order by r.ord",
        target(table),
        quoted(&id.name),
        id.type_name,
        quoted(&time.name),
    );
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(ids)
        .fetch_all(conn)
        .await
        .map_err(Error::at("deleting rows of a replica"))
}

/// Which of these instances must not be written by a message of that time, by the gem's rule: the replica's column `time` says later. Returns the
/// indexes. Rows that are missing, or whose time is null, take anything. The caller holds the guards' locks.
///
/// # Errors
/// [`Error::Statement`]; also when a time can't be read.
pub async fn stale(
    conn: &mut PgConnection,
    table: &Table,
    id: usize,
    time: usize,
    messages: &[(&str, &str)],
) -> Result<Vec<usize>, Error> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let (id, time) = (&table.columns[id], &table.columns[time]);
    let sql = format!(
        "select r.ord - 1
         from unnest($1::text[], $2::text[]) with ordinality as r (id, time, ord)
         join {} t on t.{} = r.id::{}
         where {} < t.{}",
        target(table),
        quoted(&id.name),
        id.type_name,
        time.cast("r.time"),
        quoted(&time.name),
    );
    let found: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(messages.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(messages.iter().map(|(_, time)| *time).collect::<Vec<_>>())
        .fetch_all(conn)
        .await
        .map_err(Error::at("comparing times with a replica"))?;
    Ok(found.into_iter().filter_map(|index| usize::try_from(index).ok()).collect())
}
