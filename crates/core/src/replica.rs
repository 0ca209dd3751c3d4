//! How a consumer maps a model to a table of its own.
//!
//! One plain value, [`ReplicaMapping`], says it all, so that `#[derive(Replica)]` and the configuration of the stock consumer are two
//! ways of writing the same thing and nothing behind them can tell the difference.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Model;

/// Postgres cuts longer identifiers, which would map two names to one column.
const IDENTIFIER_LEN_MAX: usize = 63;

/// A struct that mirrors a row of a replica. Implemented by `#[derive(Replica)]`.
pub trait Replica {
    /// The model as on the wire: `Rental`.
    const MODEL: &'static str;
    /// The local table: `rentals`, or `schema.rentals`.
    const TABLE: &'static str;

    /// Which attribute goes to which column. Called once, when a consumer is built.
    fn mapping() -> ReplicaMapping;
}

/// Which attribute of a model goes to which column of a local table.
///
/// Attributes are named as the gem's consumer names them (spec §7.7): `synced_id`, `synced_created_at`, `synced_updated_at`,
/// `synced_canceled_at`; `synced_account_id` for `links.account`, with `synced_bookable_type` beside it when the link is polymorphic;
/// `synced_booking_ids` for `links.bookings`; every other attribute by its own name.
///
/// As TOML, with what is assumed when a line is left out:
///
/// ```toml
/// model = "Rental"
/// table = "rentals"                      # or "schema.rentals"
/// id = "synced_id"                       # needs a unique index
/// created_at = "synced_created_at"       # default: the table has no such column
/// updated_at = "synced_updated_at"       # default: likewise
/// canceled_at = "synced_canceled_at"     # default: likewise
/// columns = ["name", "synced_account_id", { attribute = "price", column = "amount" }]   # default: none
/// synced_data = "synced_data"            # default: the table has no such column
/// removal = "delete"                     # or { flag = "canceled" }
/// sideloaded_as = ["bookings_fees"]      # default: none
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaMapping {
    /// The model as on the wire: `Rental`, `Core::Booking`.
    pub model: String,
    /// The local table, as `table` or `schema.table`; both parts are taken literally and quoted.
    pub table: String,
    /// The column of `synced_id`. It needs a unique index. Default `synced_id`.
    #[serde(default = "synced_id")]
    pub id: String,
    /// The column of `synced_created_at`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The column of `synced_updated_at`. Default: none. Messages without a version are guarded by it, or by `created_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// The column of `synced_canceled_at`: the replica can be soft-deleted. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canceled_at: Option<String>,
    /// The other attributes that have a column. Default: none.
    #[serde(default)]
    pub columns: Vec<ColumnMapping>,
    /// A `jsonb` column that takes all attributes of the canonical record. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_data: Option<String>,
    /// What a `destroyed` event does when the soft-delete column does not say it all. Default: delete the row.
    #[serde(default)]
    pub removal: Removal,
    /// Names under which instances of this model arrive inside another one: the link's name (`bookings_fees`), or the type of a
    /// polymorphic link. Default: none.
    #[serde(default)]
    pub sideloaded_as: Vec<String>,
}

/// One attribute and its column. In a configuration, a bare name stands for an attribute and a column of that name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "ColumnMappingForm")]
pub struct ColumnMapping {
    /// The attribute's canonical name: `name`, `synced_account_id`.
    pub attribute: String,
    /// The column that takes it.
    pub column: String,
}

/// What a `destroyed` event does to a row, unless the table has a `canceled_at` column and the event brought a value for it: then
/// assigning that value is all (spec §7.8.2).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// The row is deleted.
    #[default]
    Delete,
    /// The row stays and this boolean column becomes true: what a model's `soft_delete_strategy` does in the gem.
    Flag(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ColumnMappingForm {
    Name(String),
    Pair(ColumnPair),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnPair {
    attribute: String,
    column: String,
}

impl From<ColumnMappingForm> for ColumnMapping {
    fn from(form: ColumnMappingForm) -> Self {
        match form {
            ColumnMappingForm::Name(name) => Self { attribute: name.clone(), column: name },
            ColumnMappingForm::Pair(ColumnPair { attribute, column }) => Self { attribute, column },
        }
    }
}

fn synced_id() -> String {
    "synced_id".into()
}

/// Everything that is wrong with a mapping.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct MappingError {
    /// The mapping's model, as given.
    pub model: String,
    /// One line a fault; never empty.
    pub faults: Vec<String>,
}

impl MappingError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        Some(format!(
            "correct the mapping of `{}`: each fault names the field and the column",
            self.model
        ))
    }
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the replica of `{}` cannot be mapped: {}", self.model, self.faults.join("; "))
    }
}

impl ReplicaMapping {
    /// A mapping that takes the id alone; the rest is assigned field by field.
    pub fn new(model: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            table: table.into(),
            id: synced_id(),
            created_at: None,
            updated_at: None,
            canceled_at: None,
            columns: Vec::new(),
            synced_data: None,
            removal: Removal::default(),
            sideloaded_as: Vec::new(),
        }
    }

    /// The schema, when the table names one, and the table.
    pub fn schema_and_table(&self) -> (Option<&str>, &str) {
        match self.table.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, &self.table),
        }
    }

    /// Every attribute that has a column of its own and that column: the id first, then the times, then [`columns`](Self::columns)
    /// in their order.
    pub fn assignments(&self) -> impl Iterator<Item = (&str, &str)> {
        let timestamps = [
            ("synced_created_at", &self.created_at),
            ("synced_updated_at", &self.updated_at),
            ("synced_canceled_at", &self.canceled_at),
        ];
        let fixed =
            timestamps.into_iter().filter_map(|(name, column)| Some((name, column.as_deref()?)));
        let columns = self.columns.iter().map(|c| (c.attribute.as_str(), c.column.as_str()));
        std::iter::once(("synced_id", self.id.as_str())).chain(fixed).chain(columns)
    }

    /// Checks everything that can be checked without the database.
    ///
    /// # Errors
    /// [`MappingError`] with all faults at once: names that are no model, no table or no column, columns or attributes that are
    /// mapped twice, attributes that have a field of their own or another canonical name.
    pub fn validate(&self) -> Result<(), MappingError> {
        let mut faults = Vec::new();
        if Model::new(self.model.as_str()).is_err() {
            faults.push(format!("model: `{}` is not a model name", self.model));
        }
        let (schema, table) = self.schema_and_table();
        if !schema.is_none_or(is_identifier) || !is_identifier(table) || table.contains('.') {
            faults.push(format!("table: `{}` is neither `table` nor `schema.table`", self.table));
        }
        self.check_columns(&mut faults);
        self.check_attributes(&mut faults);
        if faults.is_empty() {
            Ok(())
        } else {
            Err(MappingError { model: self.model.clone(), faults })
        }
    }

    fn check_columns(&self, faults: &mut Vec<String>) {
        let mut takers: BTreeMap<&str, &str> = BTreeMap::new();
        let data = self.synced_data.iter().map(|column| ("synced_data", column.as_str()));
        let flag = match &self.removal {
            Removal::Flag(column) => Some(("removal", column.as_str())),
            Removal::Delete => None,
        };
        for (taker, column) in self.assignments().chain(data).chain(flag) {
            if !is_identifier(column) {
                faults.push(format!(
                    "{taker}: `{column}` is not a column name of 1 to {IDENTIFIER_LEN_MAX} bytes"
                ));
            } else if let Some(other) = takers.insert(column, taker) {
                faults
                    .push(format!("column `{column}` is mapped twice, by {other} and by {taker}"));
            }
        }
    }

    fn check_attributes(&self, faults: &mut Vec<String>) {
        let mut columns: BTreeMap<&str, &str> = BTreeMap::new();
        for ColumnMapping { attribute, column } in &self.columns {
            if attribute.is_empty() {
                faults.push(format!("columns: the attribute of column `{column}` is empty"));
            } else if let Some(field) = field_of(attribute) {
                faults.push(format!("columns: `{attribute}` has a field of its own, `{field}`"));
            } else if attribute == "links" || attribute.starts_with("links.") {
                faults.push(format!(
                    "columns: `{attribute}` is not a canonical name; a link `account` is `synced_account_id`"
                ));
            } else if let Some(other) = columns.insert(attribute, column) {
                faults.push(format!(
                    "attribute `{attribute}` is mapped twice, to `{other}` and to `{column}`"
                ));
            }
        }
    }
}

/// The field of [`ReplicaMapping`] that maps this attribute.
fn field_of(attribute: &str) -> Option<&str> {
    let name = attribute.strip_prefix("synced_").unwrap_or(attribute);
    matches!(name, "id" | "created_at" | "updated_at" | "canceled_at").then_some(name)
}

fn is_identifier(name: &str) -> bool {
    (1..=IDENTIFIER_LEN_MAX).contains(&name.len()) && !name.contains(['\0', '"'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rental() -> ReplicaMapping {
        ReplicaMapping {
            created_at: Some("synced_created_at".into()),
            columns: vec![ColumnMapping { attribute: "price".into(), column: "amount".into() }],
            ..ReplicaMapping::new("Rental", "public.rentals")
        }
    }

    #[test]
    fn a_mapping_lists_its_columns_id_first() {
        let mapping = rental();
        let assignments: Vec<_> = mapping.assignments().collect();
        assert_eq!(
            assignments,
            [
                ("synced_id", "synced_id"),
                ("synced_created_at", "synced_created_at"),
                ("price", "amount")
            ]
        );
        assert_eq!(mapping.schema_and_table(), (Some("public"), "rentals"));
        mapping.validate().unwrap();
    }

    #[test]
    fn configuration_gives_the_same_value_as_code() {
        let written = serde_json::json!({
            "model": "Rental",
            "table": "public.rentals",
            "created_at": "synced_created_at",
            "columns": [{ "attribute": "price", "column": "amount" }],
        });
        assert_eq!(serde_json::from_value::<ReplicaMapping>(written).unwrap(), rental());
        let short = serde_json::json!({ "model": "R", "table": "r", "columns": ["name"], "removal": { "flag": "gone" } });
        let short: ReplicaMapping = serde_json::from_value(short).unwrap();
        assert_eq!(
            short.columns,
            [ColumnMapping { attribute: "name".into(), column: "name".into() }]
        );
        assert_eq!(short.removal, Removal::Flag("gone".into()));
        assert_eq!(short.id, "synced_id");
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let written = serde_json::json!({ "model": "R", "table": "r", "colums": [] });
        assert!(serde_json::from_value::<ReplicaMapping>(written).is_err());
    }

    #[test]
    fn all_faults_are_listed_at_once() {
        let column = |attribute: &str, column: &str| ColumnMapping {
            attribute: attribute.into(),
            column: column.into(),
        };
        let mapping = ReplicaMapping {
            id: String::new(),
            columns: vec![
                column("name", "title"),
                column("title", "title"),
                column("name", "name"),
                column("created_at", "born"),
                column("links.account", "account"),
            ],
            synced_data: Some("x".repeat(64)),
            removal: Removal::Flag("name".into()),
            ..ReplicaMapping::new("not a model", "a.b.c")
        };
        let error = mapping.validate().unwrap_err();
        assert_eq!(error.faults.len(), 9, "{:#?}", error.faults);
        assert!(error.to_string().contains("column `title` is mapped twice, by name and by title"));
        assert!(error.remedy().is_some());
    }
}
