//! The schema `dionysus`: installed by embedded migrations, checked by every process that uses it.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::migrate::Migrator;

use crate::Error;

/// The migrations, embedded; their own table lives in the schema as well, beside the application's.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// A migration whose description begins so stops programs that do not know it.
const BREAKING: &str = "breaking";

fn migrator() -> Migrator {
    Migrator {
        migrations: Cow::Borrowed(&MIGRATIONS.migrations),
        table_name: Cow::Borrowed("dionysus.migrations"),
        create_schemas: Cow::Borrowed(&[Cow::Borrowed("dionysus")]),
        // A newer program's migrations are no fault of this one; `check` judges them.
        ignore_missing: true,
        ..Migrator::DEFAULT
    }
}

/// What [`migrate`] found and left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Migrated {
    /// The newest migration before, 0 if there was none.
    pub from: i64,
    /// The newest migration after.
    pub to: i64,
}

/// A migration known to this program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// Its name in words.
    pub description: String,
    /// Its statements, for people with a migration tool of their own.
    pub sql: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// Installs the schema or brings it up to date. Safe to call from several processes at once.
///
/// # Errors
/// [`Error::Migrate`], or [`Error::Statement`] if the database can't be reached.
pub async fn migrate(pool: &PgPool) -> Result<Migrated, Error> {
    let from = newest(pool).await?.unwrap_or(0);
    migrator().run(pool).await.map_err(Error::Migrate)?;
    let to = newest(pool).await?.unwrap_or(0);
    Ok(Migrated { from, to })
}

/// The migrations of this program, and which of them the database has.
///
/// # Errors
/// [`Error::Statement`].
pub async fn migrations(pool: &PgPool) -> Result<Vec<Migration>, Error> {
    let applied = applied(pool).await?;
    Ok(MIGRATIONS
        .iter()
        .map(|migration| Migration {
            version: migration.version,
            description: migration.description.to_string(),
            sql: migration.sql.as_str().to_owned(),
            applied: applied.iter().any(|(version, _)| *version == migration.version),
        })
        .collect())
}

/// A number that changes when a migration of this program does: names what a migrated database holds.
pub fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    for migration in MIGRATIONS.iter() {
        (migration.version, &migration.checksum).hash(&mut hasher);
    }
    hasher.finish()
}

/// Refuses a database whose schema this program can't work with.
///
/// # Errors
/// [`Error::SchemaMissing`], [`Error::SchemaTooOld`], [`Error::SchemaTooNew`] or [`Error::Statement`].
pub async fn check(pool: &PgPool) -> Result<(), Error> {
    let applied = applied(pool).await?;
    if applied.is_empty() {
        let database = sqlx::query_scalar("select current_database()::text")
            .fetch_one(pool)
            .await
            .map_err(Error::at("reading the database's name"))?;
        return Err(Error::SchemaMissing { database });
    }
    fits(&applied)
}

/// Looks again and again; returns when the schema no longer fits this program, with what [`check`] then says. A database that can't be asked
/// says nothing about its schema. One small statement each time.
///
/// During a rolling upgrade a program may run when a newer one migrates: a migration that breaks it must stop it also then.
///
/// # Cancel safety
/// Safe.
pub async fn misfit(pool: &PgPool, interval: Duration) -> Error {
    loop {
        tokio::time::sleep(interval).await;
        if let Ok(Err(misfit)) = versions(pool).await.map(|applied| fits(&applied)) {
            return misfit;
        }
    }
}

fn fits(applied: &[(i64, String)]) -> Result<(), Error> {
    let needed = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    if !applied.iter().any(|(version, _)| *version == needed) {
        let found = applied.iter().map(|(version, _)| *version).max().unwrap_or(0);
        return Err(Error::SchemaTooOld { found, needed });
    }
    match applied.iter().find(|(version, what)| *version > needed && what.starts_with(BREAKING)) {
        Some((found, _)) => Err(Error::SchemaTooNew { found: *found, known: needed }),
        None => Ok(()),
    }
}

async fn newest(pool: &PgPool) -> Result<Option<i64>, Error> {
    Ok(applied(pool).await?.into_iter().map(|(version, _)| version).max())
}

async fn applied(pool: &PgPool) -> Result<Vec<(i64, String)>, Error> {
    let exists: bool = sqlx::query_scalar("select to_regclass('dionysus.migrations') is not null")
        .fetch_one(pool)
        .await
        .map_err(Error::at("looking for the schema"))?;
    if !exists {
        return Ok(Vec::new());
    }
    versions(pool).await
}

async fn versions(pool: &PgPool) -> Result<Vec<(i64, String)>, Error> {
    sqlx::query_as(
        "select version, description from dionysus.migrations where success order by version",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading the schema's version"))
}
