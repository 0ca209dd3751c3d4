//! The types of the columns by which instances are found.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;

use super::qualified;
use crate::Error;

/// A table, as declared, and a column of it.
pub type ColumnName = (&'static str, &'static str);

/// Names of types by column, asked of the catalog when the first is needed: all that are known to be needed at once. Forgotten after a
/// failed statement, for a type may have changed.
#[derive(Debug, Default)]
pub struct ColumnTypes {
    wanted: Vec<ColumnName>,
    known: Mutex<HashMap<(String, String), String>>,
}

impl ColumnTypes {
    /// For these columns; others are asked for one by one.
    pub fn new(wanted: Vec<ColumnName>) -> Self {
        Self { wanted, known: Mutex::default() }
    }

    /// The name of a column's type, fit to be part of a statement.
    pub(super) async fn of(
        &self,
        conn: &mut PgConnection,
        table: &str,
        column: &str,
    ) -> Result<String, Error> {
        let key = (table.to_owned(), column.to_owned());
        if let Some(known) = self.lock().get(&key) {
            return Ok(known.clone());
        }
        let (mut tables, mut columns): (Vec<_>, Vec<_>) = self.wanted.iter().copied().unzip();
        tables.push(table);
        columns.push(column);
        let found: Vec<(i64, String)> = sqlx::query_as(
            "select ord, format_type(a.atttypid, null)
             from unnest($1::text[], $2::text[]) with ordinality as w (name, attribute, ord)
             join pg_attribute a on a.attrelid = to_regclass(w.name) and a.attname = w.attribute and a.attnum > 0 and not a.attisdropped",
        )
        .bind(tables.iter().map(|table| qualified(table)).collect::<Vec<_>>())
        .bind(&columns)
        .fetch_all(conn)
        .await
        .map_err(Error::at("looking up the types of columns"))?;
        let mut known = self.lock();
        for (ord, name) in found {
            let at = usize::try_from(ord - 1).unwrap_or(usize::MAX);
            if let (Some(table), Some(column)) = (tables.get(at), columns.get(at)) {
                known.insert(((*table).to_owned(), (*column).to_owned()), name);
            }
        }
        known.get(&key).cloned().ok_or_else(|| Error::ColumnMissing {
            table: table.to_owned(),
            column: column.to_owned(),
        })
    }

    /// Names an error, and forgets the types: the statement may have failed for one.
    pub(super) fn judge<T>(
        &self,
        outcome: Result<T, sqlx::Error>,
        statement: &'static str,
    ) -> Result<T, Error> {
        outcome.map_err(|source| {
            self.lock().clear();
            if is_above_read_committed(&source) {
                Error::AboveReadCommitted
            } else {
                Error::Statement { statement, source }
            }
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 42704 from our own condition, which names our setting; 40001, which only a transaction above READ COMMITTED gets from a lock.
fn is_above_read_committed(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| match error.code().as_deref() {
        Some("42704") => error.message().contains("dionysus.needs_read_committed"),
        Some("40001") => true,
        _ => false,
    })
}
