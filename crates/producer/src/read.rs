//! Reading instances at commit, whole: the roots of one type in one statement, their parts in one more for each kind of part.
//!
//! One loader for one instance and for thousands: nothing here asks per row. (The gem asks per row, per association and per nested
//! record: W52.)

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use dionysus_core::{AttributeInfo, HasPart, PartInfo, PartKey};
use dionysus_postgres::instances::{self, ColumnName, ColumnTypes, Source};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection};

use crate::instance::Owned;
use crate::{Error, Publishable};

/// A model that can be read from its table. Implemented for whatever is `Publishable` and `FromRow`.
pub trait Readable: Publishable + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static {}

impl<M: Publishable + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static> Readable for M {}

/// Reads instances of one type, with their parts.
#[async_trait]
pub(crate) trait Read: Send + Sync + fmt::Debug {
    /// The columns by which rows will be looked up.
    fn columns(&self) -> Vec<ColumnName>;
    /// Reads by id, in order of the primary key, and locks; `locked` says that the rows are locked already.
    async fn read(
        &self,
        conn: &mut PgConnection,
        types: &ColumnTypes,
        ids: &[String],
        locked: bool,
    ) -> Result<Vec<Owned>, Error>;
}

/// Where instances of a type are read from.
pub(crate) const fn source<M: Publishable>() -> Source {
    Source { table: M::TABLE, primary_key: M::PRIMARY_KEY, select: M::SELECT }
}

/// A loader of one kind of part, with the type of the part erased.
pub(crate) type PartLoader<M> = Arc<dyn LoadPart<M>>;

pub(crate) struct Reader<M> {
    parts: Vec<PartLoader<M>>,
}

impl<M: Readable> Reader<M> {
    /// Reads roots without parts.
    pub(crate) fn plain() -> Arc<dyn Read> {
        Arc::new(Self { parts: Vec::new() })
    }

    /// Reads roots with parts, each a [`PartLoader<M>`].
    pub(crate) fn with_parts(parts: &[Arc<dyn Any + Send + Sync>]) -> Arc<dyn Read> {
        let parts = parts
            .iter()
            .filter_map(|part| part.downcast_ref::<PartLoader<M>>().map(Arc::clone))
            .collect();
        Arc::new(Self { parts })
    }
}

impl<M: Publishable> fmt::Debug for Reader<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader<{}>", M::MODEL)
    }
}

#[async_trait]
impl<M: Readable> Read for Reader<M> {
    fn columns(&self) -> Vec<ColumnName> {
        let parts = self.parts.iter().flat_map(|part| part.columns());
        parts.chain([(M::TABLE, M::PRIMARY_KEY)]).collect()
    }

    async fn read(
        &self,
        conn: &mut PgConnection,
        types: &ColumnTypes,
        ids: &[String],
        locked: bool,
    ) -> Result<Vec<Owned>, Error> {
        let source = source::<M>();
        // The rows of a query of the application's own can't be locked by reading them.
        let lock_first = !locked && source.select.is_some();
        if lock_first {
            instances::lock(conn, types, source, ids).await?;
        }
        let rows =
            instances::read(conn, types, source, M::PRIMARY_KEY, ids, !locked && !lock_first)
                .await?;
        let mut roots: Vec<M> = rows.iter().map(decoded).collect::<Result<_, _>>()?;
        for part in &self.parts {
            part.load(conn, types, &mut roots).await?;
        }
        Ok(roots.into_iter().map(|root| Box::new(root) as Owned).collect())
    }
}

/// Loads one kind of part into roots.
#[async_trait]
pub(crate) trait LoadPart<M>: Send + Sync {
    fn columns(&self) -> Vec<ColumnName>;
    async fn load(
        &self,
        conn: &mut PgConnection,
        types: &ColumnTypes,
        roots: &mut [M],
    ) -> Result<(), Error>;
}

/// Loads the parts `P` of `M`.
pub(crate) struct PartsOf<M, P>(PhantomData<fn() -> (M, P)>);

impl<M: Readable + HasPart<P>, P: Readable> PartsOf<M, P> {
    pub(crate) fn loader() -> PartLoader<M> {
        Arc::new(Self(PhantomData))
    }

    fn parts() -> impl Iterator<Item = &'static PartInfo> {
        M::PARTS.iter().filter(|part| M::NAMES.contains(&part.name))
    }

    /// The column by which parts are looked up.
    fn column(part: &PartInfo) -> &'static str {
        match part.key {
            PartKey::InPart(column) => column,
            PartKey::InRoot(_) => P::PRIMARY_KEY,
        }
    }

    /// What is looked up in that column for a root.
    fn value(part: &PartInfo, root: &M) -> Option<String> {
        match part.key {
            PartKey::InPart(_) => Some(Publishable::id(root)),
            PartKey::InRoot(column) => {
                root.partition_key_of(attribute_of(M::ATTRIBUTES, column)?).flatten()
            }
        }
    }

    /// The same value as a part tells it.
    fn value_of(part: &PartInfo, loaded: &P) -> Option<String> {
        match part.key {
            PartKey::InPart(column) => {
                loaded.partition_key_of(attribute_of(P::ATTRIBUTES, column)?).flatten()
            }
            PartKey::InRoot(_) => Some(Publishable::id(loaded)),
        }
    }
}

#[async_trait]
impl<M: Readable + HasPart<P>, P: Readable> LoadPart<M> for PartsOf<M, P> {
    fn columns(&self) -> Vec<ColumnName> {
        Self::parts().map(|part| (P::TABLE, Self::column(part))).collect()
    }

    async fn load(
        &self,
        conn: &mut PgConnection,
        types: &ColumnTypes,
        roots: &mut [M],
    ) -> Result<(), Error> {
        for part in Self::parts() {
            let mut values: Vec<String> =
                roots.iter().filter_map(|root| Self::value(part, root)).collect();
            values.sort_unstable();
            values.dedup();
            let rows = if values.is_empty() {
                Vec::new()
            } else {
                let column = Self::column(part);
                instances::read(conn, types, source::<P>(), column, &values, false).await?
            };
            let mut by_value: HashMap<String, Vec<(P, &PgRow)>> = HashMap::new();
            for row in &rows {
                let loaded = decoded(row)?;
                if let Some(value) = Self::value_of(part, &loaded) {
                    by_value.entry(value).or_default().push((loaded, row));
                }
            }
            for root in &mut *roots {
                let value = Self::value(part, root).unwrap_or_default();
                let loaded = match part.key {
                    PartKey::InPart(_) => {
                        let own = by_value.remove(&value).unwrap_or_default();
                        own.into_iter().map(|(part, _)| part).collect()
                    }
                    // Several roots may share it, so it is decoded for each.
                    PartKey::InRoot(_) => {
                        let shared = by_value.get(&value).into_iter().flatten();
                        shared.map(|(_, row)| decoded(row)).collect::<Result<Vec<P>, _>>()?
                    }
                };
                root.attach(part.name, loaded);
            }
        }
        Ok(())
    }
}

fn decoded<M: Readable>(row: &PgRow) -> Result<M, Error> {
    M::from_row(row).map_err(|source| Error::Unreadable { model: M::MODEL.to_owned(), source })
}

/// The name of the attribute that is read from a column.
pub(crate) fn attribute_of(
    attributes: &'static [AttributeInfo],
    column: &str,
) -> Option<&'static str> {
    attributes.iter().find(|attribute| attribute.column == column).map(|attribute| attribute.name)
}
