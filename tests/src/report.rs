//! What a test tells whoever runs it.

use std::fmt::Display;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints a figure that the test has measured.
#[expect(clippy::print_stdout, reason = "figures are what a run is for")]
pub fn figure(text: impl Display) {
    println!("    {text}");
}

/// Milliseconds since 1970: the clock of the log's timestamps.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
