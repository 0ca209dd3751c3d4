//! Reaching Postgres.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::{Exit, Faults, Report, Secret};

/// Postgres cuts longer names off.
const APPLICATION_NAME_LEN_MAX: usize = 63;

/// The application's database: section `[database]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`. Also taken from `DATABASE_URL`. No default.
    pub url: Secret,
    /// Connections at most. Default 10.
    pub connections_max: u32,
    /// How long to wait for a connection, at the start and later for one of the pool. Default 10 s.
    #[serde(with = "crate::duration")]
    pub connect_timeout: Duration,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            connections_max: 10,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl DatabaseConfig {
    /// Adds what is wrong with it.
    pub fn check(&self, faults: &mut Faults) {
        if self.url.is_empty() {
            faults.add(
                "database.url",
                "missing; set DATABASE_URL=postgres://user:password@host/database",
            );
        } else if self.options().is_none() {
            // Not the parser's words: they may quote the password.
            faults.add(
                "database.url",
                "no Postgres URL; write postgres://user:password@host:port/database",
            );
        }
        faults.require(self.connections_max > 0, "database.connections_max", "must be at least 1");
        faults.require(
            self.connect_timeout > Duration::ZERO,
            "database.connect_timeout",
            "must be longer than 0",
        );
    }

    /// Server and database as they may appear in messages.
    pub fn shown(&self) -> String {
        self.options().map_or_else(String::new, |options| {
            let database = options.get_database().unwrap_or_default();
            format!("{}:{}/{database}", options.get_host(), options.get_port())
        })
    }

    fn options(&self) -> Option<PgConnectOptions> {
        // The scheme is not looked at by sqlx.
        let url = self.url.expose();
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return None;
        }
        PgConnectOptions::from_str(url).ok()
    }
}

/// Connects once, so that what is wrong shows now and in full (a pool would only say that it timed out), then hands out a
/// pool. `application_name` is what `pg_stat_activity` shows, e.g. `outbox-relay:host-1`.
///
/// Durability is not set here: the statements that need `synchronous_commit` turn it on for their transaction, which also holds
/// behind a pooler.
///
/// # Cancel safety
/// Safe.
///
/// # Errors
/// A report with [`Exit::Unreachable`] if the server does not answer, [`Exit::Config`] if it refuses us.
pub async fn connect(config: &DatabaseConfig, application_name: &str) -> Result<PgPool, Report> {
    let mut name = application_name.to_owned();
    name.truncate(name.floor_char_boundary(APPLICATION_NAME_LEN_MAX));
    let Some(options) = config.options() else {
        let mut faults = Faults::default();
        config.check(&mut faults);
        return Err(crate::ConfigError { faults: faults.0 }.into());
    };
    let options = options.application_name(&name);
    match tokio::time::timeout(config.connect_timeout, options.connect()).await {
        Ok(Ok(connection)) => {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "first connection did not close well");
            }
        }
        Ok(Err(error)) => return Err(refused(config, error)),
        Err(elapsed) => return Err(unreachable(config, elapsed)),
    }
    Ok(PgPoolOptions::new()
        .max_connections(config.connections_max)
        .acquire_timeout(config.connect_timeout)
        .connect_lazy_with(options))
}

fn refused(config: &DatabaseConfig, error: sqlx::Error) -> Report {
    match error.as_database_error().and_then(|error| error.code()) {
        // Starting up, shutting down, too many connections: not a matter of configuration.
        Some(code) if !code.starts_with("57P") && code != "53300" => {
            let message = format!("Postgres at {} refuses the connection", config.shown());
            Report::new(Exit::Config, message)
                .caused_by(error)
                .remedy("check user, password and database in DATABASE_URL, and pg_hba.conf")
        }
        _ => unreachable(config, error),
    }
}

fn unreachable(
    config: &DatabaseConfig,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Report {
    let message = format!("Postgres cannot be reached at {}", config.shown());
    Report::new(Exit::Unreachable, message)
        .caused_by(error)
        .remedy("check that Postgres runs and that DATABASE_URL names it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> DatabaseConfig {
        DatabaseConfig { url: Secret::new(url), ..DatabaseConfig::default() }
    }

    #[test]
    fn a_url_is_shown_without_user_and_password() {
        assert_eq!(config("postgres://u:hunter2@h:5433/db").shown(), "h:5433/db");
    }

    #[test]
    fn a_url_that_is_none_is_a_fault_that_does_not_quote_it() {
        for url in ["", "mysql://u:hunter2@h/db", "postgres://u:hunter2@h:x/db"] {
            let mut faults = Faults::default();
            config(url).check(&mut faults);
            assert_eq!(faults.0.len(), 1, "{url}");
            assert!(!faults.0[0].to_string().contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_reported_with_its_remedy() {
        let report =
            connect(&config("postgres://u:hunter2@127.0.0.1:1/db"), "test").await.unwrap_err();
        assert_eq!(report.exit(), Exit::Unreachable);
        let text = report.to_string();
        assert!(
            text.starts_with("error: Postgres cannot be reached at 127.0.0.1:1/db\n"),
            "{text}"
        );
        assert!(text.contains("\n  remedy: check that Postgres runs"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
