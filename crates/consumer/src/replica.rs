//! A mapping, resolved against the table it names.

use std::borrow::Cow;
use std::collections::HashMap;

use dionysus_core::{Removal, ReplicaMapping};
use dionysus_postgres::replicas::Table;

use crate::decode::{Attributes, Malformed};

/// Ids are part of an index; Postgres takes no more than about 2,700 bytes there.
const ID_BYTES_MAX: usize = 1_000;

/// A replica that can be written: columns are known by their index in the table.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The name that guards know it by. Several models can share a table, and then its guards.
    pub(crate) name: String,
    /// Where its name stands among those of the topic, sorted: the lock order.
    pub(crate) slot: usize,
    pub(crate) model: String,
    pub(crate) table: Table,
    pub(crate) id: usize,
    pub(crate) created_at: Option<usize>,
    pub(crate) updated_at: Option<usize>,
    pub(crate) canceled_at: Option<usize>,
    pub(crate) synced_data: Option<usize>,
    /// Becomes true where the gem would call the model's soft-delete strategy.
    pub(crate) flag: Option<usize>,
    /// Which attribute goes to which column; without the id.
    pub(crate) columns: HashMap<String, usize>,
}

impl Replica {
    /// `Err`: the columns that the table has not.
    pub(crate) fn resolve(mapping: &ReplicaMapping, table: Table) -> Result<Self, Vec<String>> {
        let mut missing = Vec::new();
        let mut find = |name: &str| {
            table.column(name).or_else(|| {
                missing.push(name.to_owned());
                None
            })
        };
        let id = find(&mapping.id);
        let created_at = mapping.created_at.as_deref().and_then(&mut find);
        let updated_at = mapping.updated_at.as_deref().and_then(&mut find);
        let canceled_at = mapping.canceled_at.as_deref().and_then(&mut find);
        let synced_data = mapping.synced_data.as_deref().and_then(&mut find);
        let flag = match &mapping.removal {
            Removal::Flag(column) => find(column),
            Removal::Delete => None,
        };
        let mut columns = HashMap::new();
        for (attribute, column) in mapping.assignments().skip(1) {
            // The times were looked up above.
            match table.column(column) {
                Some(index) => drop(columns.insert(attribute.to_owned(), index)),
                None if mapping.columns.iter().any(|c| c.column == column) => drop(find(column)),
                None => {}
            }
        }
        match id {
            Some(id) if missing.is_empty() => Ok(Self {
                name: table.replica(),
                slot: 0,
                model: mapping.model.clone(),
                table,
                id,
                created_at,
                updated_at,
                canceled_at,
                synced_data,
                flag,
                columns,
            }),
            _ => Err(missing),
        }
    }

    /// The column that an unversioned message's time is held against: `updated_at` if there is one, whatever it holds.
    pub(crate) fn time(&self) -> Option<usize> {
        self.updated_at.or(self.created_at)
    }

    /// The id of a record as text, the same text for the same value of the column; `None` if it has none.
    pub(crate) fn id_of<'a>(
        &self,
        attributes: &Attributes<'a>,
    ) -> Result<Option<Cow<'a, str>>, Malformed> {
        let malformed = || Malformed::Id { model: self.model.clone() };
        let Some(json) = attributes.non_null("synced_id") else { return Ok(None) };
        let scalar = json.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
        let column = &self.table.columns[self.id];
        let text = column
            .text_of(json)
            .filter(|text| scalar && text.len() <= ID_BYTES_MAX)
            .ok_or_else(malformed)?;
        if column.is_integer() {
            let number: i64 = text.trim().parse().map_err(|_| malformed())?;
            let plain = number.to_string();
            return Ok(Some(if *text == plain { text } else { plain.into() }));
        }
        if column.is_uuid() && text.contains(|c: char| c.is_ascii_uppercase()) {
            return Ok(Some(text.to_ascii_lowercase().into()));
        }
        Ok(Some(text))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use dionysus_postgres::replicas::Column;

    /// A replica of `public.<table>` with columns of these types, by the catalog's names for base types.
    pub(crate) fn replica(mapping: &ReplicaMapping, columns: &[(&str, &str)]) -> Replica {
        let (_, name) = mapping.schema_and_table();
        let table = Table {
            schema: "public".into(),
            name: name.into(),
            columns: columns.iter().map(|(name, base)| Column::of_type(*name, base)).collect(),
            unique: vec![mapping.id.clone()],
            rights_missing: Vec::new(),
        };
        Replica::resolve(mapping, table).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(column_type: &str, json: &str) -> Result<Option<String>, Malformed> {
        let mapping = ReplicaMapping::new("Rental", "rentals");
        let replica = testing::replica(&mapping, &[("synced_id", column_type)]);
        let attributes = Attributes(vec![("synced_id".into(), json)]);
        replica.id_of(&attributes).map(|id| id.map(Cow::into_owned))
    }

    #[test]
    fn one_instance_has_one_id_however_it_is_written() {
        for json in ["7", r#""7""#, r#""007""#, r#"" 7""#] {
            assert_eq!(id("int8", json).unwrap().as_deref(), Some("7"), "{json}");
        }
        assert_eq!(id("text", r#""007""#).unwrap().as_deref(), Some("007"));
        let uuid = id("uuid", r#""A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11""#).unwrap();
        assert_eq!(uuid.as_deref(), Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
        assert_eq!(id("int8", "null").unwrap(), None);
    }

    #[test]
    fn what_can_be_no_id_is_malformed() {
        for json in ["true", "{}", "[1]", "1.5", r#""x""#, "99999999999999999999"] {
            assert!(id("int8", json).is_err(), "{json}");
        }
        assert!(id("text", &format!("\"{}\"", "x".repeat(1_001))).is_err());
    }
}
