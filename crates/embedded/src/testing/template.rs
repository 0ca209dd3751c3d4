//! Databases that others are copied from.
//!
//! A template is named after what it holds, so that whoever needs the same finds it made: the next test, and on a server of
//! `DATABASE_URL` the next run. It is made under a lock of the server, and counts only once it is marked as a template: what a
//! killed process left half made is made anew. Nobody can connect to it, which would keep it from being copied. A week after it was made it goes when
//! another one is made: content that changes leaves no trail.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};

use crate::Error;
use crate::postgres::database::{self, quoted};

/// The templates that this process has seen whole.
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Of an advisory lock; any number that nobody else uses.
const LOCK: i64 = 0x6469_6f6e_7465_6d70;

const PREFIX: &str = "dionysus_template_";

/// Makes the database `name` as a copy of the template `content`, which `fill` fills if it is not there.
pub(super) async fn copy<F, Fut>(
    admin: &PgConnectOptions,
    name: &str,
    content: &str,
    fill: F,
) -> Result<(), Error>
where
    F: Fn(PgPool) -> Fut,
    Fut: Future<Output = ()>,
{
    let template = format!("{PREFIX}{content}");
    let seen = || SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = seen().contains(&template);
    if !known {
        ensure(admin, &template, &fill).await?;
        seen().insert(template.clone());
    }
    match database::copy(admin, name, &template).await {
        // Somebody has dropped it since.
        Err(error) if known && is_missing(&error) => {
            ensure(admin, &template, &fill).await?;
            database::copy(admin, name, &template).await
        }
        other => other,
    }
}

async fn ensure<F, Fut>(admin: &PgConnectOptions, name: &str, fill: &F) -> Result<(), Error>
where
    F: Fn(PgPool) -> Fut,
    Fut: Future<Output = ()>,
{
    let failed = |source| Error::Database { action: "make a template database", source };
    let mut conn = admin.connect().await.map_err(failed)?;
    // Whoever holds it fills a template: seconds.
    execute(&mut conn, "set lock_timeout = '60s'".to_owned()).await?;
    execute(&mut conn, format!("select pg_advisory_lock({LOCK})")).await?;
    let whole: Option<bool> =
        sqlx::query_scalar("select datistemplate from pg_database where datname = $1")
            .bind(name)
            .fetch_optional(&mut conn)
            .await
            .map_err(failed)?;
    if whole != Some(true) {
        forget_old(&mut conn).await?;
        make(admin, &mut conn, name, fill).await?;
    }
    conn.close().await.map_err(failed)
}

async fn make<F, Fut>(
    admin: &PgConnectOptions,
    conn: &mut PgConnection,
    name: &str,
    fill: &F,
) -> Result<(), Error>
where
    F: Fn(PgPool) -> Fut,
    Fut: Future<Output = ()>,
{
    database::remove(admin, name).await?;
    database::create(admin, name).await?;
    let pool =
        PgPoolOptions::new().max_connections(2).connect_lazy_with(admin.clone().database(name));
    fill(pool.clone()).await;
    pool.close().await;
    let name = quoted(name);
    let made = "select 'comment on database %s is ' || quote_literal(extract(epoch from now())::bigint::text)";
    let comment: String = sqlx::query_scalar(made)
        .fetch_one(&mut *conn)
        .await
        .map_err(|source| Error::Database { action: "date a template database", source })?;
    execute(conn, comment.replacen("%s", &name, 1)).await?;
    execute(conn, format!("alter database {name} with is_template true allow_connections false"))
        .await
}

/// Best effort: another role's are not ours to drop.
async fn forget_old(conn: &mut PgConnection) -> Result<(), Error> {
    let old: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_database d
         where datname like 'dionysus\\_template\\_%' and datistemplate
           and shobj_description(d.oid, 'pg_database')::bigint < extract(epoch from now() - interval '7 days')",
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(|source| Error::Database { action: "look for old template databases", source })?;
    for name in old {
        let name = quoted(&name);
        let unmarked = execute(conn, format!("alter database {name} with is_template false")).await;
        if unmarked.is_err() || execute(conn, format!("drop database {name}")).await.is_err() {
            tracing::debug!("old template database is left");
        }
    }
    Ok(())
}

async fn execute(conn: &mut PgConnection, statement: String) -> Result<(), Error> {
    // Names are quoted by the callers.
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(conn).await;
    done.map(drop)
        .map_err(|source| Error::Database { action: "prepare a template database", source })
}

/// 3D000: no such database, here the template.
fn is_missing(error: &Error) -> bool {
    let Error::Database { source, .. } = error else { return false };
    source
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|c| c == "3D000")
}
