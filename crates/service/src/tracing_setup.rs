//! Where log lines go: stderr, as text or JSON.

use std::io::{IsTerminal as _, stderr};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::{Exit, Faults, Report};

/// Logs: section `[log]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or directives such as `info,dionysus_relay=debug`. Default
    /// `info`.
    pub filter: String,
    /// How lines look. Default text.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl LogConfig {
    /// Adds what is wrong with it.
    pub fn check(&self, faults: &mut Faults) {
        if let Err(error) = EnvFilter::try_new(&self.filter) {
            faults.add(
                "log.filter",
                format!("{error}; write a level or directives such as info,dionysus_relay=debug"),
            );
        }
    }
}

/// Sends log lines of this process to stderr. Call it once, first.
///
/// # Errors
/// A report with [`Exit::Config`] for a bad filter, [`Exit::Failure`] if logs go somewhere already.
pub fn init_tracing(config: &LogConfig) -> Result<(), Report> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| {
        Report::new(Exit::Config, "the log filter is not valid").caused_by(error)
    })?;
    let builder = fmt().with_env_filter(filter).with_writer(stderr);
    let done = match config.format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    done.map_err(|error| Report::new(Exit::Failure, format!("logs cannot be set up: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_a_fault() {
        let mut faults = Faults::default();
        LogConfig { filter: "info,relay=loud".into(), ..LogConfig::default() }.check(&mut faults);
        assert!(faults.0[0].to_string().starts_with("log.filter: "), "{faults:?}");
        let mut faults = Faults::default();
        LogConfig::default().check(&mut faults);
        assert!(faults.is_empty());
    }
}
