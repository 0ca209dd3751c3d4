//! Before anything is read: do the tables exist, and are they as the mappings say? All faults at once, each with the statement that cures it.

use std::collections::{BTreeSet, HashMap};

use dionysus_core::{Removal, ReplicaMapping};
use dionysus_postgres::replicas::{self, Table, quoted};
use sqlx::PgPool;

use crate::change::Route;
use crate::error::Error;
use crate::replica::Replica;

/// What is wrong with the table of a replica.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaFault {
    /// There is no such table. A view is none.
    #[error("the table `{table}` of the replica of `{model}` does not exist")]
    TableMissing {
        /// The model.
        model: String,
        /// The table, as mapped.
        table: String,
        /// A statement that makes it.
        ddl: String,
    },
    /// It has no such columns.
    #[error("the table `{table}` of the replica of `{model}` lacks {}", listed(.columns))]
    ColumnsMissing {
        /// The model.
        model: String,
        /// The table, as mapped.
        table: String,
        /// The columns.
        columns: Vec<String>,
        /// A statement that adds them.
        ddl: String,
    },
    /// The id's column has no unique index of its own (whole, valid, not deferred).
    #[error("the table `{table}` of the replica of `{model}` has no unique index on `{column}`")]
    NoUniqueIndex {
        /// The model.
        model: String,
        /// The table, as mapped.
        table: String,
        /// The id's column.
        column: String,
        /// A statement that adds it.
        ddl: String,
    },
    /// A column that nothing is mapped to demands a value.
    #[error(
        "the table `{table}` of the replica of `{model}` demands a value of `{column}`, to which nothing is mapped"
    )]
    ValueDemanded {
        /// The model.
        model: String,
        /// The table, as mapped.
        table: String,
        /// The column.
        column: String,
        /// A statement that lets it be empty.
        ddl: String,
    },
    /// A mapped column is computed by Postgres.
    #[error("the column `{column}` of `{table}`, the replica of `{model}`, is generated")]
    Generated {
        /// The model.
        model: String,
        /// The table, as mapped.
        table: String,
        /// The column.
        column: String,
    },
    /// A mapped column has a type that its part can't have.
    #[error("the column `{column}` of `{table}`, the replica of `{model}`, must be {needed}")]
    WrongType {
        /// The model.
        model: String,
        /// The table, as mapped.
        table: String,
        /// The column.
        column: String,
        /// What it must be.
        needed: &'static str,
    },
    /// Our role may not write it.
    #[error("this role lacks {} on the table `{table}` of the replica of `{model}`", .rights.join(", "))]
    RightsMissing {
        /// The model.
        model: String,
        /// The table, as mapped.
        table: String,
        /// The rights.
        rights: Vec<String>,
        /// A statement that grants them.
        ddl: String,
    },
}

impl ReplicaFault {
    /// The statement that cures it, where there is one. Types of columns are guesses.
    pub fn ddl(&self) -> Option<&str> {
        match self {
            Self::TableMissing { ddl, .. }
            | Self::ColumnsMissing { ddl, .. }
            | Self::NoUniqueIndex { ddl, .. }
            | Self::ValueDemanded { ddl, .. }
            | Self::RightsMissing { ddl, .. } => Some(ddl),
            Self::Generated { .. } | Self::WrongType { .. } => None,
        }
    }
}

/// Resolves the mappings of all topics against the database.
pub(crate) async fn routes(
    pool: &PgPool,
    topics: &[(String, Vec<ReplicaMapping>)],
) -> Result<HashMap<String, Route>, Error> {
    let (mut routes, mut faults) = (HashMap::new(), Vec::new());
    for (topic, mappings) in topics {
        let mut route = Route::default();
        for mapping in mappings {
            let (schema, table) = mapping.schema_and_table();
            match examined(mapping, replicas::describe(pool, schema, table).await?) {
                Ok(replica) => {
                    let index = route.replicas.len();
                    route.replicas.push(replica);
                    route.models.insert(mapping.model.clone(), index);
                    for name in &mapping.sideloaded_as {
                        route.sideloads.insert(name.clone(), index);
                    }
                }
                Err(found) => faults.extend(found),
            }
        }
        // The type of a polymorphic link is a model's name.
        for (model, index) in &route.models {
            route.sideloads.entry(model.clone()).or_insert(*index);
        }
        number_slots(&mut route.replicas);
        routes.insert(topic.clone(), route);
    }
    // Two topics may feed one table.
    faults.dedup();
    if faults.is_empty() { Ok(routes) } else { Err(Error::Replicas { faults }) }
}

/// Replicas of one table share a slot: guards know tables, not models.
fn number_slots(replicas: &mut [Replica]) {
    let names: BTreeSet<String> = replicas.iter().map(|replica| replica.name.clone()).collect();
    for replica in replicas {
        replica.slot = names.iter().position(|name| *name == replica.name).unwrap_or_default();
    }
}

fn examined(mapping: &ReplicaMapping, table: Option<Table>) -> Result<Replica, Vec<ReplicaFault>> {
    let Some(found) = table else {
        return Err(vec![ReplicaFault::TableMissing {
            model: mapping.model.clone(),
            table: mapping.table.clone(),
            ddl: create(mapping),
        }]);
    };
    let mut faults = table_faults(mapping, &found);
    match Replica::resolve(mapping, found) {
        Ok(replica) => {
            faults.extend(column_faults(mapping, &replica));
            if faults.is_empty() { Ok(replica) } else { Err(faults) }
        }
        Err(columns) => {
            let adds: Vec<String> = columns
                .iter()
                .map(|c| format!("add column {} {}", quoted(c), guess(mapping, c)))
                .collect();
            faults.push(ReplicaFault::ColumnsMissing {
                model: mapping.model.clone(),
                table: mapping.table.clone(),
                ddl: format!("alter table {} {};", target(mapping), adds.join(", ")),
                columns,
            });
            Err(faults)
        }
    }
}

/// What can be said whether or not all columns are there.
fn table_faults(mapping: &ReplicaMapping, found: &Table) -> Vec<ReplicaFault> {
    let (model, table) = (mapping.model.clone(), mapping.table.clone());
    let mut faults = Vec::new();
    if !found.unique.contains(&mapping.id) {
        faults.push(ReplicaFault::NoUniqueIndex {
            model: model.clone(),
            table: table.clone(),
            column: mapping.id.clone(),
            ddl: format!(
                "create unique index concurrently on {} ({});",
                target(mapping),
                quoted(&mapping.id)
            ),
        });
    }
    if !found.rights_missing.is_empty() {
        faults.push(ReplicaFault::RightsMissing {
            model,
            table,
            rights: found.rights_missing.clone(),
            ddl: format!(
                "grant {} on {} to current_user;",
                found.rights_missing.join(", "),
                target(mapping)
            ),
        });
    }
    faults
}

fn column_faults(mapping: &ReplicaMapping, replica: &Replica) -> Vec<ReplicaFault> {
    let (model, table) = (&mapping.model, &mapping.table);
    let columns = &replica.table.columns;
    let mapped: BTreeSet<usize> = replica
        .columns
        .values()
        .copied()
        .chain([replica.id])
        .chain(replica.synced_data)
        .chain(replica.flag)
        .collect();
    let mut faults = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let name = &column.name;
        if mapped.contains(&index) {
            if column.generated {
                faults.push(ReplicaFault::Generated {
                    model: model.clone(),
                    table: table.clone(),
                    column: name.clone(),
                });
            }
        } else if column.required && !column.generated && !column.is_demanded_stamp() {
            faults.push(ReplicaFault::ValueDemanded {
                model: model.clone(),
                table: table.clone(),
                column: name.clone(),
                ddl: format!(
                    "alter table {} alter column {} drop not null;",
                    target(mapping),
                    quoted(name)
                ),
            });
        }
    }
    let times = [replica.created_at, replica.updated_at, replica.canceled_at].into_iter().flatten();
    let wrong_times = times.filter(|&i| !columns[i].is_time()).map(|i| (i, "a timestamp"));
    let wrong_data =
        replica.synced_data.filter(|&i| !columns[i].is_json()).map(|i| (i, "json or jsonb"));
    let wrong_flag = replica.flag.filter(|&i| !columns[i].is_boolean()).map(|i| (i, "a boolean"));
    faults.extend(wrong_times.chain(wrong_data).chain(wrong_flag).map(|(index, needed)| {
        ReplicaFault::WrongType {
            model: model.clone(),
            table: table.clone(),
            column: columns[index].name.clone(),
            needed,
        }
    }));
    faults
}

/// The table as SQL names it.
fn target(mapping: &ReplicaMapping) -> String {
    let (schema, table) = mapping.schema_and_table();
    schema.map_or_else(|| quoted(table), |schema| format!("{}.{}", quoted(schema), quoted(table)))
}

fn create(mapping: &ReplicaMapping) -> String {
    let flag = match &mapping.removal {
        Removal::Flag(column) => Some(column.as_str()),
        Removal::Delete => None,
    };
    let columns: Vec<String> = mapping
        .assignments()
        .map(|(_, column)| column)
        .chain(flag)
        .chain(mapping.synced_data.as_deref())
        .map(|column| {
            let key = if column == mapping.id { " primary key" } else { "" };
            format!("{} {}{key}", quoted(column), guess(mapping, column))
        })
        .collect();
    format!("create table {} ({});", target(mapping), columns.join(", "))
}

/// A type that suits what is mapped to the column, as far as its name tells.
fn guess(mapping: &ReplicaMapping, column: &str) -> &'static str {
    let is = |mapped: &Option<String>| mapped.as_deref() == Some(column);
    let attribute =
        mapping.columns.iter().find(|c| c.column == column).map(|c| c.attribute.as_str());
    match attribute {
        _ if is(&mapping.created_at) || is(&mapping.updated_at) || is(&mapping.canceled_at) => {
            "timestamptz"
        }
        _ if is(&mapping.synced_data) => "jsonb",
        _ if matches!(&mapping.removal, Removal::Flag(flag) if flag == column) => "boolean",
        _ if column == mapping.id => "bigint",
        Some(name) if name.starts_with("synced_") && name.ends_with("_ids") => "bigint[]",
        Some(name) if name.starts_with("synced_") && name.ends_with("_id") => "bigint",
        Some(name) if name.ends_with("_at") => "timestamptz",
        _ => "text",
    }
}

fn listed(columns: &[String]) -> String {
    let noun = if columns.len() == 1 { "the column" } else { "the columns" };
    format!("{noun} `{}`", columns.join("`, `"))
}
