//! What the server and the catalog say.

use sqlx::{FromRow, PgPool};

use super::column::Column;
use super::fault::CaptureFault;
use crate::Error;
use crate::replicas::quoted;

/// The server, as far as texts depend on it.
#[derive(Debug)]
pub(super) struct Server {
    encoding: String,
}

/// A table whose rows a trigger sees.
#[derive(Debug)]
pub(super) struct Table {
    /// `"schema"."name"`
    pub(super) name: String,
    /// Its rows live in partitions.
    pub(super) partitioned: bool,
    pub(super) columns: Vec<Column>,
}

impl Server {
    /// Whether the text of bytes can be judged as what it will be read as.
    pub(super) fn is_utf8(&self) -> bool {
        self.encoding == "UTF8"
    }

    pub(super) fn faults(&self) -> Vec<CaptureFault> {
        // Every other encoding is converted, and so checked, on the way to the relay.
        if self.encoding != "SQL_ASCII" {
            return Vec::new();
        }
        vec![CaptureFault {
            model: None,
            what: "the database has the encoding SQL_ASCII, which lets texts in that are not UTF-8"
                .into(),
            remedy: "state the events in the application, or bring the database to UTF8",
        }]
    }
}

pub(super) async fn server(pool: &PgPool) -> Result<Server, Error> {
    let encoding = sqlx::query_scalar("select current_setting('server_encoding')")
        .fetch_one(pool)
        .await
        .map_err(Error::at("asking for the server's encoding"))?;
    Ok(Server { encoding })
}

/// Looks a table up as declared, by the search path when no schema is given. `None`: there is no such table (a view is none).
pub(super) async fn table(pool: &PgPool, declared: &str) -> Result<Option<Table>, Error> {
    let at = || Error::at("looking up a captured table");
    let found: Option<(i64, String, String, bool)> = sqlx::query_as(
        "select c.oid::bigint, n.nspname::text, c.relname::text, c.relkind = 'p'
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.oid = to_regclass($1) and c.relkind in ('r', 'p')",
    )
    .bind(declared.split('.').map(quoted).collect::<Vec<_>>().join("."))
    .fetch_optional(pool)
    .await
    .map_err(at())?;
    let Some((oid, schema, name, partitioned)) = found else {
        return Ok(None);
    };
    let name = format!("{}.{}", quoted(&schema), quoted(&name));
    Ok(Some(Table { name, partitioned, columns: columns(pool, oid).await? }))
}

/// Domains, of elements too, are followed to what they are made of. Types outside of `pg_catalog` are printed with their schema, so that none is taken
/// for another; therefore the search path.
async fn columns(pool: &PgPool, oid: i64) -> Result<Vec<Column>, Error> {
    let at = || Error::at("reading the columns of a captured table");
    let mut tx = pool.begin().await.map_err(at())?;
    sqlx::query("set local search_path = pg_catalog").execute(&mut *tx).await.map_err(at())?;
    let rows: Vec<Row> = sqlx::query_as(
        "with recursive made_of (attnum, name, type, typmod, is_array, is_virtual) as (
             select attnum, attname::text, atttypid, atttypmod, false, attgenerated = 'v'
             from pg_attribute where attrelid = $1::bigint::oid and attnum > 0 and not attisdropped
             union all
             select m.attnum, m.name, case t.typtype when 'd' then t.typbasetype else t.typelem end,
                    case t.typtype when 'd' then t.typtypmod else m.typmod end, m.is_array or t.typtype <> 'd', m.is_virtual
             from made_of m join pg_type t on t.oid = m.type
             where t.typtype = 'd'
                or (t.typcategory = 'A' and t.typlen = -1 and not m.is_array and t.typname not in ('int2vector', 'oidvector')))
         select m.name, format_type(m.type, m.typmod) as type_name,
                case n.nspname when 'pg_catalog' then t.typname::text else '' end as base, m.is_array, m.is_virtual,
                (select array_agg(e.enumlabel::text) from pg_enum e where e.enumtypid = m.type) as labels
         from made_of m join pg_type t on t.oid = m.type join pg_namespace n on n.oid = t.typnamespace
         where t.typtype <> 'd'
           and (m.is_array or t.typcategory <> 'A' or t.typname in ('int2vector', 'oidvector'))
         order by m.attnum",
    )
    .bind(oid)
    .fetch_all(&mut *tx)
    .await
    .map_err(at())?;
    tx.rollback().await.map_err(at())?;
    Ok(rows.into_iter().map(Column::from).collect())
}

/// A column as the statement above selects it.
#[derive(FromRow)]
struct Row {
    name: String,
    type_name: String,
    base: String,
    is_array: bool,
    is_virtual: bool,
    labels: Option<Vec<String>>,
}

impl From<Row> for Column {
    fn from(row: Row) -> Self {
        let Row { name, type_name, base, is_array, is_virtual, labels } = row;
        let type_name = if is_array { format!("{type_name}[]") } else { type_name };
        Self { name, type_name, base, is_array, is_virtual, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_takes_any_bytes_as_text_is_refused() {
        let faults = |encoding: &str| Server { encoding: encoding.into() }.faults();
        assert_eq!(faults("SQL_ASCII").len(), 1);
        assert!(faults("UTF8").is_empty() && faults("LATIN1").is_empty());
    }
}
