//! `dionysus migrate`: the schema.

use dionysus_postgres::schema::{self, Migrated, Migration};
use dionysus_service::Report;
use serde_json::json;

use crate::settings::Settings;
use crate::table::Table;
use crate::{output, reports};

pub(super) async fn run(settings: &Settings) -> Result<(), Report> {
    let pool = settings.database().await?;
    let Migrated { from, to } = schema::migrate(&pool).await.map_err(reports::postgres)?;
    // A newer program may have migrated further, in a way that this one cannot follow.
    schema::check(&pool).await.map_err(reports::postgres)?;
    output::print(&match (from, to) {
        (from, to) if from == to => {
            format!("the schema `dionysus` is up to date at version {to}\n")
        }
        (0, to) => format!("the schema `dionysus` was installed at version {to}\n"),
        (from, to) => format!("the schema `dionysus` was brought from version {from} to {to}\n"),
    })
}

pub(super) async fn dry_run(settings: &Settings) -> Result<(), Report> {
    let pool = settings.database().await?;
    let migrations = schema::migrations(&pool).await.map_err(reports::postgres)?;
    let missing: Vec<&Migration> = migrations.iter().filter(|m| !m.applied).collect();
    if missing.is_empty() {
        return output::print("-- nothing to do: the database has all migrations\n");
    }
    let sql: Vec<String> = missing
        .iter()
        .map(|m| format!("-- {:04} {}\n\n{}\n", m.version, m.description, m.sql.trim_end()))
        .collect();
    output::print(&sql.join("\n"))
}

pub(super) async fn status(settings: &Settings, json: bool) -> Result<(), Report> {
    let pool = settings.database().await?;
    let migrations = schema::migrations(&pool).await.map_err(reports::postgres)?;
    if json {
        let rows: Vec<_> = migrations
            .iter()
            .map(|m| json!({ "version": m.version, "description": m.description, "applied": m.applied }))
            .collect();
        output::print_json(&json!({ "migrations": rows }))?;
    } else {
        let mut table = Table::new(["version", "description", "applied"]);
        for m in &migrations {
            let applied = if m.applied { "yes" } else { "no" };
            table.row([m.version.to_string(), m.description.clone(), applied.into()]);
        }
        output::print(&table.to_string())?;
    }
    schema::check(&pool).await.map_err(reports::postgres)
}
