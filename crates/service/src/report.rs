//! Telling a person what went wrong, why, and what to do; telling a script by the exit code.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use crate::ConfigError;

/// The table for `--help` (`after_help`).
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    wrong usage or configuration
  3    the schema is missing, too old or too new, or the server was restored
  4    Postgres or Kafka cannot be reached
  130  ended by a second signal, without cleaning up";

/// Why a binary ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Exit {
    /// 1: anything that has no number of its own.
    Failure,
    /// 2: wrong usage or configuration; trying again will not help.
    Config,
    /// 3: the schema does not fit the program.
    Schema,
    /// 4: a server cannot be reached; trying again may help.
    Unreachable,
    /// 130: ended by a second signal.
    Interrupted,
}

impl Exit {
    /// The number; see [`EXIT_CODES`].
    pub fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Config => 2,
            Self::Schema => 3,
            Self::Unreachable => 4,
            Self::Interrupted => 130,
        }
    }
}

/// An error on its way to a person: what, why, what to do. Displays as several lines.
#[derive(Debug)]
pub struct Report {
    exit: Exit,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    /// The message is the cause's own: what follows begins with its source.
    is_its_message: bool,
    remedy: Option<String>,
}

impl Report {
    /// A report in our own words.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), cause: None, is_its_message: false, remedy: None }
    }

    /// A report of an error: its message, and its sources as causes.
    #[must_use]
    pub fn of(
        exit: Exit,
        error: impl Error + Send + Sync + 'static,
        remedy: Option<String>,
    ) -> Self {
        let message = error.to_string();
        Self { exit, message, cause: Some(Box::new(error)), is_its_message: true, remedy }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Box::new(cause)), is_its_message: false, ..self }
    }

    /// Adds what to do.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// How the program should end.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<ConfigError> for Report {
    fn from(error: ConfigError) -> Self {
        let remedy = error.remedy();
        Self::of(Exit::Config, error, remedy)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let mut cause = self.cause.as_deref().map(|cause| cause as &dyn Error);
        if self.is_its_message {
            cause = cause.and_then(Error::source);
        }
        let mut said = self.message.clone();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat the source in the message.
            if !said.contains(&text) {
                write!(f, "\n  cause: {text}")?;
            }
            said = text;
            cause = error.source();
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  remedy: {remedy}")?;
        }
        Ok(())
    }
}

/// What `main` returns: prints the report to stderr and gives the exit code.
pub fn exit(result: Result<(), Report>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            // Nobody to tell if stderr is closed; the exit code still says it.
            drop(writeln!(std::io::stderr().lock(), "{report}"));
            ExitCode::from(report.exit().code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Faults;

    #[derive(Debug, thiserror::Error)]
    #[error("the lane cannot be read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("connection reset")]
    struct Inner;

    #[test]
    fn an_error_is_told_with_its_causes_and_remedy() {
        let report = Report::of(Exit::Failure, Outer(Inner), Some("try again".into()));
        assert_eq!(
            report.to_string(),
            "error: the lane cannot be read\n  cause: connection reset\n  remedy: try again"
        );
    }

    #[test]
    fn words_of_our_own_come_before_the_cause() {
        let report = Report::new(Exit::Unreachable, "Postgres is away").caused_by(Outer(Inner));
        assert_eq!(
            report.to_string(),
            "error: Postgres is away\n  cause: the lane cannot be read\n  cause: connection reset"
        );
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        for exit in
            [Exit::Failure, Exit::Config, Exit::Schema, Exit::Unreachable, Exit::Interrupted]
        {
            let line = format!("\n  {:<5}", exit.code());
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
        }
    }

    #[test]
    fn a_configuration_error_ends_with_2() {
        let mut faults = Faults::default();
        faults.add("relay.lease_ttl", "must be at least 1s");
        let report = Report::from(ConfigError { faults: faults.0 });
        assert_eq!(report.exit(), Exit::Config);
        assert!(report.to_string().contains("relay.lease_ttl: must be at least 1s"));
    }
}
