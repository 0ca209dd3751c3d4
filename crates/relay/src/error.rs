//! Why a relay stops, or can't start.

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
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Options(error) => error.remedy(),
            Self::Postgres(error) => error.remedy(),
            Self::Kafka(error) => error.remedy(),
        }
    }
}
