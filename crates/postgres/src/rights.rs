//! What a role may do: for `dionysus doctor`, which names all that is missing at once where a statement would stop at the first.

use sqlx::{FromRow, PgPool};

use crate::Error;

/// A right that the role lacks.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct Missing {
    /// The table, sequence or schema.
    pub object: String,
    /// `SELECT`, `UPDATE`, ...
    pub right: String,
}

/// What a relay needs and this role lacks.
///
/// # Errors
/// [`Error::Statement`].
pub async fn of_relay(pool: &PgPool) -> Result<Vec<Missing>, Error> {
    sqlx::query_as(
        "select object, privilege as right
         from (values ('outbox', '{SELECT}'), ('topics', '{SELECT}'), ('migrations', '{SELECT}'),
                      ('relays', '{SELECT,INSERT,UPDATE,DELETE}'), ('lanes', '{SELECT,UPDATE}'),
                      ('incarnation', '{SELECT,INSERT}'), ('system', '{SELECT,UPDATE}'), ('floors', '{SELECT,INSERT,DELETE}'))
              as needed (name, privileges)
         cross join lateral unnest(needed.privileges::text[]) as privilege
         cross join lateral (select 'dionysus.' || needed.name as object) as o
         where not has_table_privilege(object, privilege)
         union all
         select 'dionysus.outbox_seq', 'SELECT' where not has_sequence_privilege('dionysus.outbox_seq', 'SELECT')
         order by 1, 2",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::at("asking for our rights"))
}

/// What this role may do with the outbox's partitions.
#[derive(Clone, Copy, Debug, Eq, FromRow, PartialEq)]
pub struct OnPartitions {
    /// Make, truncate and drop them.
    pub owns: bool,
    /// Delete rows at least.
    pub deletes: bool,
}

/// Whether retention can truncate, or at least delete.
///
/// # Errors
/// [`Error::Statement`].
pub async fn on_partitions(pool: &PgPool) -> Result<OnPartitions, Error> {
    sqlx::query_as(
        "select bool_and(pg_has_role(c.relowner, 'USAGE')) as owns, has_table_privilege('dionysus.outbox', 'DELETE') as deletes
         from pg_partition_tree('dionysus.outbox') t join pg_class c on c.oid = t.relid",
    )
    .fetch_one(pool)
    .await
    .map_err(Error::at("asking for our rights on the partitions"))
}
