//! Where log lines go: stderr, as text or JSON.

use std::io::{IsTerminal as _, stderr};

use serde::{Deserialize, Serialize};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::traces::Layered;
use crate::{Exit, Faults, Report, Traces};

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
    init(config, None)
}

/// As [`init_tracing`], and sends traces by OTLP where the standard variables ask for it (see [`Traces`]); `service` is the program's
/// name in them unless `OTEL_SERVICE_NAME` gives another. Keep what is returned to the end: dropping it sends what waits, for
/// at most five seconds, so drop it where blocking is allowed.
///
/// # Errors
/// As [`init_tracing`], and [`Exit::Config`] for variables that make no exporter.
pub fn init_tracing_as(service: &'static str, config: &LogConfig) -> Result<Traces, Report> {
    let (traces, layer) = Traces::of_environment(service)?;
    init(config, layer)?;
    traces.say_if_missing();
    Ok(traces)
}

fn init(config: &LogConfig, traces: Option<Layered>) -> Result<(), Report> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| {
        Report::new(Exit::Config, "the log filter is not valid").caused_by(error)
    })?;
    let lines = fmt::layer().with_writer(stderr);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Each with a filter of its own: traces do not depend on what is logged.
    tracing_subscriber::registry()
        .with(traces)
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| Report::new(Exit::Failure, format!("logs cannot be set up: {error}")))
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
