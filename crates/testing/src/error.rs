//! What can go wrong in a test that is not the test's own fault.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database failed, or lacks our schema.
    #[error(transparent)]
    Postgres(#[from] dionysus_postgres::Error),
    /// A row that a trigger wrote can't be published: what the relay says too.
    #[error("the captured row of `{key}` cannot be published")]
    Capture {
        /// Its key.
        key: String,
        /// What is wrong with it.
        #[source]
        source: dionysus_core::CaptureError,
    },
    /// The consumer's tables are not as its mappings say, or a message can't be applied: what the real consumer says too.
    #[cfg(feature = "pair")]
    #[error(transparent)]
    Consumer(#[from] dionysus_consumer::Error),
    /// A row can't be made a message: what the real relay says too.
    #[cfg(feature = "pair")]
    #[error(transparent)]
    Relay(#[from] dionysus_relay::Error),
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Postgres(error) => error.remedy(),
            Self::Capture { source, .. } => source.remedy(),
            #[cfg(feature = "pair")]
            Self::Consumer(error) => error.remedy(),
            #[cfg(feature = "pair")]
            Self::Relay(error) => error.remedy(),
        }
    }

    /// The error, its causes and what to do, for whoever reads a failed test.
    pub(crate) fn explained(&self) -> String {
        explained(self, self.remedy())
    }
}

/// An error, its causes and what to do.
pub(crate) fn explained(error: &dyn std::error::Error, remedy: Option<String>) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut text = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if let Some(remedy) = remedy {
        text.extend(["\nto do: ", &remedy]);
    }
    text
}
