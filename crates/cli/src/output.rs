//! What goes to stdout: nothing but results.

use std::io::{self, Write as _};

use dionysus_service::{Exit, Report};

/// Prints. Whoever stops reading early (`| head`) has seen enough: no error.
pub(crate) fn print(text: &str) -> Result<(), Report> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Report::new(Exit::Failure, "the result cannot be written").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Prints JSON for scripts, indented.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Report> {
    print(&format!("{value:#}\n"))
}
