//! What can go wrong between us and Postgres.

use dionysus_core::ParseSnapshotError;

use crate::capture::{CaptureFault, join, remedies};
use crate::timeline::Sign;

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
    /// The server was restored or failed over: its numbers may be given a second time.
    #[error("the database has another history than the one that was published: {sign}")]
    Restored {
        /// The timeline of ours that is stored.
        timeline: i64,
        /// How that was recognised.
        sign: Sign,
    },
    /// No number is left for another timeline.
    #[error("all 32,767 timelines have been used")]
    NoMoreTimelines,
    /// An aggregate, or a dependant of an observed change, was to be read in a transaction above READ COMMITTED.
    #[error("aggregates and dependants can't be published by a transaction above READ COMMITTED")]
    AboveReadCommitted,
    /// A declared column does not exist.
    #[error("table `{table}` has no column `{column}`, or there is no such table")]
    ColumnMissing {
        /// The table, as declared.
        table: String,
        /// The column.
        column: String,
    },
    /// No application has registered the topic in this database.
    #[error("topic `{topic}` is not registered in this database")]
    TopicNotRegistered {
        /// The topic.
        topic: String,
    },
    /// The topic is registered without this model.
    #[error("topic `{topic}` does not publish the model `{model}`")]
    ModelNotRegistered {
        /// The topic.
        topic: String,
        /// The model.
        model: String,
    },
    /// What was registered for a topic is not in a form that this program knows.
    #[error("the registered topology of topic `{topic}` could not be read")]
    Registration {
        /// The topic.
        topic: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A trigger can't capture what the topic publishes.
    #[error("topic `{topic}` cannot be captured by triggers: {}", join(faults))]
    NotCapturable {
        /// The topic.
        topic: String,
        /// All reasons.
        faults: Vec<CaptureFault>,
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
            Self::CursorAhead { .. } | Self::Restored { .. } => Some(
                "make sure that this is the server to go on with, then run `dionysus doctor --new-timeline`; what Kafka had of the lost future is corrected by genesis runs".into(),
            ),
            Self::NoMoreTimelines => Some("move the outbox to a new database, with new topics".into()),
            Self::Migrate(_) => Some("read the cause; the role needs the right to create a schema in this database".into()),
            Self::Statement { source, .. } if is_undefined_relation(source) => {
                Some("run `dionysus migrate` against this database".into())
            }
            Self::Statement { source: sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut, .. } => {
                Some("check that Postgres runs and that DATABASE_URL names it".into())
            }
            Self::AboveReadCommitted => Some(
                "change aggregates and observed models in READ COMMITTED: above it a snapshot is older than the lock that orders it, and would miss what another transaction has just committed".into(),
            ),
            Self::ColumnMissing { .. } => {
                Some("correct the declaration (`table`, `foreign_key`, the path of `observe`), or migrate the application's tables".into())
            }
            Self::TopicNotRegistered { .. } => Some(
                "see `dionysus topics list`; an application registers its topics when it connects its outbox".into(),
            ),
            Self::ModelNotRegistered { .. } => Some("see `dionysus topics list` for the models of each topic".into()),
            Self::Registration { .. } => Some(
                "start the application and this program in one version: topics are registered when an outbox is connected".into(),
            ),
            Self::NotCapturable { faults, .. } => Some(remedies(faults)),
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

    /// Whether the server was restored or failed over.
    pub const fn is_restored(&self) -> bool {
        matches!(self, Self::Restored { .. })
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
