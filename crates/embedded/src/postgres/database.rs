//! Databases of a server.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::error::Error;

/// How often a session that was told to end is looked for, and how long each time.
const SESSIONS_POLLS: u32 = 50;
const SESSIONS_POLL: Duration = Duration::from_millis(2);

/// Makes an empty database. From `template0`: nobody can be connected to that, which would make this fail.
pub(crate) async fn create(admin: &PgConnectOptions, name: &str) -> Result<(), Error> {
    let statement = format!("create database {} template template0", quoted(name));
    execute(admin, statement, "create a database").await
}

/// Makes a database that holds what `template` holds. Nobody may be connected to that.
pub(crate) async fn copy(
    admin: &PgConnectOptions,
    name: &str,
    template: &str,
) -> Result<(), Error> {
    let statement = format!("create database {} template {}", quoted(name), quoted(template));
    execute(admin, statement, "copy a database").await
}

/// Removes a database and ends the sessions in it.
pub(crate) async fn remove(admin: &PgConnectOptions, name: &str) -> Result<(), Error> {
    let failed = |source| Error::Database { action: "drop a database", source };
    let mut connection = admin.connect().await.map_err(failed)?;
    // `with (force)` alone looks only each 100 ms whether the sessions have ended.
    for _ in 0..SESSIONS_POLLS {
        let sessions =
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
        let sessions: i64 = sqlx::query_scalar(sessions)
            .bind(name)
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        if sessions == 0 {
            break;
        }
        // Another process, which tells nobody that it ends.
        tokio::time::sleep(SESSIONS_POLL).await;
    }
    let statement = format!("drop database if exists {} with (force)", quoted(name));
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

/// The same server's URL with another database.
pub(crate) fn url_of(url: &str, name: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, None), |(a, b)| (a, Some(b)));
    let server = match before.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
            format!("{scheme}://{authority}")
        }
        None => before.to_owned(),
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{server}/{}{query}", escaped(name))
}

async fn execute(
    admin: &PgConnectOptions,
    statement: String,
    action: &'static str,
) -> Result<(), Error> {
    let failed = |source| Error::Database { action, source };
    let mut connection = admin.connect().await.map_err(failed)?;
    // The name is quoted above; a database cannot be a parameter.
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Percent-encodes what would end the path of a URL or be decoded in it.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/new"),
            ("postgres://u:p@h:1", "postgres://u:p@h:1/new"),
            ("postgresql://h/a?sslmode=disable", "postgresql://h/new?sslmode=disable"),
            ("postgres://h?host=/run", "postgres://h/new?host=/run"),
        ] {
            assert_eq!(url_of(url, "new"), expected);
        }
        assert_eq!(url_of("postgres://h/a", "a b/c"), "postgres://h/a%20b%2Fc");
    }
}
