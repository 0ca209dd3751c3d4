//! Why a relay stops, or can't start.

use std::fmt;

use crate::OptionsError;

/// What ends [`Relay::run`](crate::Relay::run). Everything that may heal is retried inside and logged; these do not heal by themselves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options contradict each other or a guarantee.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Postgres refused at the start: unreachable, no schema, a standby.
    #[error(transparent)]
    Postgres(#[from] dionysus_postgres::Error),
    /// Kafka refused at the start: unreachable, a property that is ours.
    #[error(transparent)]
    Kafka(#[from] dionysus_kafka::Error),
    /// A row that a trigger wrote has no message. A relay does not end with it: it sets the row aside.
    #[error(transparent)]
    Capture(#[from] dionysus_core::CaptureError),
    /// As many rows of a lane are kept back as may be. A relay does not end with it: the lane waits.
    #[error("the quarantine of lane `{topic}` is full with {rows} rows")]
    QuarantineFull {
        /// The lane.
        topic: String,
        /// The bound, [`RelayOptions::quarantine_max`](crate::RelayOptions::quarantine_max).
        rows: u64,
    },
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Options(error) => error.remedy(),
            Self::Postgres(error) => error.remedy(),
            Self::Kafka(error) => error.remedy(),
            Self::Capture(error) => error.remedy(),
            Self::QuarantineFull { topic, .. } => Some(format!(
                "see `dionysus quarantine list --topic {topic}`, mend the cause and `retry`, or `skip`; or raise `quarantine_max`"
            )),
        }
    }
}

/// An error with its causes, for one line of the log.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut said = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat the source in the message.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_logged_with_its_causes() {
        let error = Error::Postgres(dionysus_postgres::Error::Statement {
            statement: "reading a window",
            source: sqlx::Error::PoolTimedOut,
        });
        let line = Chain(&error).to_string();
        assert!(line.starts_with("reading a window failed: "), "{line}");
    }
}
