//! What every Dionysus binary does first and last: configuration, logs, signals, error reports, exit codes.
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

mod args;
mod config;
mod database;
pub mod duration;
mod fault;
mod kafka;
mod report;
mod secret;
mod shutdown;
mod tracing_setup;

pub use args::Common;
pub use config::{Config, Overrides, load_config};
pub use database::{DatabaseConfig, connect};
pub use fault::{ConfigError, Fault, Faults};
pub use kafka::KafkaConfig;
pub use report::{EXIT_CODES, Exit, Report, exit};
pub use secret::Secret;
pub use shutdown::shutdown_token;
pub use tracing_setup::{LogConfig, LogFormat, init_tracing};
