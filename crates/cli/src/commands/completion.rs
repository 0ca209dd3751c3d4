//! `dionysus completion SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use dionysus_service::{Exit, Report};

use crate::args::Args;
use crate::output;

pub(super) fn print(shell: Shell) -> Result<(), Report> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "dionysus", &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| Report::new(Exit::Failure, "the script is not text").caused_by(error))?;
    output::print(&script)
}
