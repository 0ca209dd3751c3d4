//! What can go wrong between us and Postgres.

use dionysus_core::ParseSnapshotError;

/// A failure of a statement of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database could not do it: unreachable, out of connections, a statement refused.
    #[error("{statement} failed")]
    Statement {
        /// What was being done, in the words of the function.
        statement: &'static str,
        /// What the database or the connection said.
        #[source]
        source: sqlx::Error,
    },
    /// A migration could not be run.
    #[error("the schema `dionysus` could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database has no schema `dionysus`.
    #[error("the database `{database}` has no schema `dionysus`")]
    SchemaMissing {
        /// The name of the database.
        database: String,
    },
    /// The schema is older than this program needs.
    #[error("the schema `dionysus` is at version {found}, this program needs {needed}")]
    SchemaTooOld {
        /// The newest migration found.
        found: i64,
        /// The newest migration known to this program.
        needed: i64,
    },
    /// The schema was changed by a newer program in a way that this one can't follow.
    #[error(
        "the schema `dionysus` is at version {found}, which is not compatible with this program ({known})"
    )]
    SchemaTooNew {
        /// The breaking migration found.
        found: i64,
        /// The newest migration known to this program.
        known: i64,
    },
    /// The server is a standby: a relay and a producer need the primary.
    #[error("the server is in recovery")]
    InRecovery,
    /// A stored cursor lies ahead of the server: the server was restored from an older state.
    #[error("the cursor of lane `{topic}` lies ahead of the server")]
    CursorAhead {
        /// The lane.
        topic: String,
    },
    /// A snapshot was not in Postgres's form.
    #[error("a snapshot could not be read")]
    Snapshot(#[from] ParseSnapshotError),
}

impl Error {
    /// Wraps a failure with the name of the statement.
    pub(crate) fn at(statement: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Statement { statement, source }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::SchemaMissing { .. } | Self::SchemaTooOld { .. } => {
                Some("run `dionysus migrate` against this database".into())
            }
            Self::SchemaTooNew { .. } => Some("upgrade this program to the version that migrated the database".into()),
            Self::InRecovery => Some("connect to the primary, not to a standby".into()),
            Self::CursorAhead { .. } => Some(
                "the server was restored or failed over to an older state: compare it with the topic before you reset the lane's cursor".into(),
            ),
            Self::Migrate(_) => Some("read the cause; the role needs the right to create a schema in this database".into()),
            Self::Statement { source, .. } if is_undefined_relation(source) => {
                Some("run `dionysus migrate` against this database".into())
            }
            Self::Statement { source: sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut, .. } => {
                Some("check that Postgres runs and that DATABASE_URL names it".into())
            }
            Self::Statement { .. } | Self::Snapshot(_) => None,
        }
    }

    /// Whether the schema does not fit this program.
    pub const fn is_schema(&self) -> bool {
        matches!(
            self,
            Self::SchemaMissing { .. } | Self::SchemaTooOld { .. } | Self::SchemaTooNew { .. }
        )
    }

    /// Whether the connection is gone, so that whatever was known through it must be forgotten.
    pub fn is_disconnected(&self) -> bool {
        let Self::Statement { source, .. } = self else {
            return false;
        };
        match source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            // Class 08: connection exception; 57P01..57P03: the server ends, has crashed, or starts.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03")
            }),
            _ => false,
        }
    }

    /// Whether the same transaction may be tried again: a deadlock (40P01) or a serialisation failure (40001).
    pub fn is_transient(&self) -> bool {
        let Self::Statement { source: sqlx::Error::Database(error), .. } = self else {
            return false;
        };
        error.code().is_some_and(|code| matches!(&*code, "40P01" | "40001"))
    }
}

/// 3F000: no such schema; 42P01: no such table.
fn is_undefined_relation(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(&*code, "3F000" | "42P01"))
}
