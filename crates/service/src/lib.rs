//! What every Dionysus binary does first and last: configuration, logs, health, metrics, traces, signals, error reports, exit codes.
//!
//! A `main` reads like this:
//!
//! ```no_run
//! use dionysus_service::{Common, Config, DatabaseConfig, Faults, LogConfig, Report, load_config};
//!
//! #[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Settings {
//!     database: DatabaseConfig,
//!     log: LogConfig,
//! }
//!
//! impl Config for Settings {
//!     fn check(&self, faults: &mut Faults) {
//!         self.database.check(faults);
//!         self.log.check(faults);
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let common = Common::default(); // flattened into the arguments of clap
//!     dionysus_service::exit(run(&common))
//! }
//!
//! fn run(common: &Common) -> Result<(), Report> {
//!     let settings: Settings = load_config(common.config.as_deref(), &common.overrides())?;
//!     dionysus_service::init_tracing(&settings.log)?;
//!     Ok(())
//! }
//! ```
//!
//! Features: `http` (default), the endpoint for health and metrics; `tls` (default), TLS to Postgres; `otel`, traces by OTLP.

mod args;
mod config;
mod database;
pub mod duration;
mod fault;
mod health;
#[cfg(feature = "http")]
mod http;
mod kafka;
mod main_loop;
#[cfg(feature = "http")]
mod metrics;
mod probe;
mod report;
mod retention;
mod rounds;
mod secret;
mod shutdown;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod traces;
mod tracing_setup;

pub use args::Common;
pub use config::{Config, Overrides, load_config};
pub use database::{DatabaseConfig, connect};
pub use fault::{ConfigError, Fault, Faults};
pub use health::{Health, HealthLimits, HttpConfig, Verdict};
#[cfg(feature = "http")]
pub use http::HttpServer;
pub use kafka::KafkaConfig;
pub use main_loop::MainLoop;
pub use probe::HealthCheck;
pub use report::{EXIT_CODES, Exit, Report, exit};
pub use retention::RetentionConfig;
pub use rounds::ask_in_rounds;
pub use secret::Secret;
pub use shutdown::shutdown_token;
pub use traces::{TRACES, Traces, link};
pub use tracing_setup::{LogConfig, LogFormat, init_tracing, init_tracing_as};
