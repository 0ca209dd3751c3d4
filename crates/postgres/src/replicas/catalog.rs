//! What the catalog says of a table.

use sqlx::PgPool;

use super::column::Column;
use crate::Error;

/// A table that a replica lives in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Columns that have a unique index of their own, one that `on conflict` can use.
    pub unique: Vec<String>,
    /// Rights that our role lacks on it: `insert`, `update`, ...
    pub rights_missing: Vec<String>,
}

impl Table {
    /// The name under which guards know it, the same for every spelling in a configuration: `schema.table`.
    pub fn replica(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The index of a column by its name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// Looks a table up, by the search path when no schema is given. `None`: there is no such table (a view is none).
///
/// # Errors
/// [`Error::Statement`].
pub async fn describe(
    pool: &PgPool,
    schema: Option<&str>,
    table: &str,
) -> Result<Option<Table>, Error> {
    let found: Option<(i64, String, String)> = sqlx::query_as(
        "select c.oid::bigint, n.nspname::text, c.relname::text
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relname = $2 and c.relkind in ('r', 'p')
           and case when $1::text is null then pg_table_is_visible(c.oid) else n.nspname = $1 end",
    )
    .bind(schema)
    .bind(table)
    .fetch_optional(pool)
    .await
    .map_err(Error::at("looking up a replica's table"))?;
    let Some((oid, schema, name)) = found else {
        return Ok(None);
    };
    Ok(Some(Table {
        schema,
        name,
        columns: columns(pool, oid).await?,
        unique: unique(pool, oid).await?,
        rights_missing: rights_missing(pool, oid).await?,
    }))
}

async fn columns(pool: &PgPool, oid: i64) -> Result<Vec<Column>, Error> {
    // format_type with -1 names the type without its length; with null it would say `character`, which means `character(1)`.
    // A domain is its base type here: assignment checks it, a cast would cut to its length.
    let rows: Vec<(String, String, String, String, bool, bool)> = sqlx::query_as(
        "select a.attname::text, format_type(base.oid, -1), base.typcategory::text, base.typname::text,
                (a.attnotnull or t.typnotnull) and not a.atthasdef and a.attidentity = '',
                a.attgenerated <> '' or a.attidentity = 'a'
         from pg_attribute a
         join pg_type t on t.oid = a.atttypid
         join pg_type base on base.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
         where a.attrelid = $1::bigint::oid and a.attnum > 0 and not a.attisdropped
         order by a.attnum",
    )
    .bind(oid)
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading a replica's columns"))?;
    Ok(rows
        .into_iter()
        .map(|(name, type_name, category, base, required, generated)| Column {
            name,
            type_name,
            category: category.chars().next().unwrap_or('X'),
            base,
            required,
            generated,
        })
        .collect())
}

/// An arbiter must be unique at once, whole, valid, and on the column alone.
async fn unique(pool: &PgPool, oid: i64) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "select distinct a.attname::text
         from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
         where i.indrelid = $1::bigint::oid and i.indisunique and i.indimmediate and i.indisvalid
           and i.indpred is null and i.indexprs is null and i.indnkeyatts = 1",
    )
    .bind(oid)
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading a replica's unique indexes"))
}

async fn rights_missing(pool: &PgPool, oid: i64) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "select r from unnest(array['select', 'insert', 'update', 'delete']) as r
         where not has_table_privilege($1::bigint::oid, r)
           and (r = 'delete' or not has_any_column_privilege($1::bigint::oid, r))",
    )
    .bind(oid)
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading our rights on a replica"))
}
