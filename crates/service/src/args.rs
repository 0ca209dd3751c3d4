//! Arguments that all binaries share.

use std::path::PathBuf;

use crate::{LogFormat, Overrides};

/// Flatten it into the arguments of a binary: `#[command(flatten)] common: Common`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Common {
    /// Configuration file (TOML); environment (`DIONYSUS_SECTION__KEY`) and flags override it
    #[arg(long, global = true, value_name = "FILE", env = "DIONYSUS_CONFIG")]
    pub config: Option<PathBuf>,
    /// What to log: a level, or directives such as `info,dionysus_relay=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log
    #[arg(long, global = true, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}

impl Common {
    /// The flags as the highest layer of the configuration.
    pub fn overrides(&self) -> Overrides {
        Overrides::default()
            .set("log.filter", self.log.as_ref())
            .set("log.format", self.log_format.as_ref())
    }
}
