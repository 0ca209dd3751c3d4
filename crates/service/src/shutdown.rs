//! Ending when asked to.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::Exit;

/// A token that is cancelled by the first SIGTERM or SIGINT: stop taking work, finish what is under way, exit 0. The second one
/// ends the process at once, with code 130.
///
/// Call it once, inside the runtime, before anything that must not be interrupted.
///
/// # Errors
/// The operating system's, if signals cannot be listened for.
pub fn shutdown_token() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        for first in [true, false] {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if first {
                tracing::info!(signal = name, "shutting down");
                cancelled.cancel();
            } else {
                tracing::warn!(signal = name, "ending without cleaning up");
                end_now();
            }
        }
    });
    Ok(token)
}

#[expect(clippy::exit, reason = "a second signal asks for exactly this")]
fn end_now() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.code()))
}
