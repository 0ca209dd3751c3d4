//! Where downloads are kept between runs, and the lock under which they are made.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::user::ServerUser;

/// The variable that names the cache folder.
pub(crate) const VARIABLE: &str = "DIONYSUS_CACHE_DIR";

const LOCK_POLL: Duration = Duration::from_millis(100);

/// The first folder that can be made and that `user` reaches: `$DIONYSUS_CACHE_DIR`, `$XDG_CACHE_HOME/dionysus`,
/// `$HOME/.cache/dionysus`, `/var/cache/dionysus` (for root, whose home others do not reach).
pub(crate) fn folder(user: &ServerUser) -> Result<PathBuf, Error> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let candidates = [
        variable(VARIABLE).map(PathBuf::from),
        variable("XDG_CACHE_HOME").map(|base| Path::new(&base).join("dionysus")),
        variable("HOME").map(|base| Path::new(&base).join(".cache/dionysus")),
        Some(PathBuf::from("/var/cache/dionysus")),
    ];
    candidates
        .into_iter()
        .flatten()
        .find_map(|candidate| {
            std::fs::create_dir_all(&candidate).ok()?;
            // A relative one would mean another folder to a server with another working folder.
            let candidate = candidate.canonicalize().ok()?;
            let writable = tempfile::tempfile_in(&candidate).is_ok();
            (writable && user.reaches(&candidate)).then_some(candidate)
        })
        .ok_or(Error::NoCache)
}

/// Waits for the lock `name` in the cache, which the returned file holds until it is dropped. The system releases the
/// lock of a process that was killed.
pub(crate) async fn lock(cache: &Path, name: &str) -> Result<File, Error> {
    let path = cache.join(format!("{name}.lock"));
    let failed = |source| Error::io("lock the cache", &path, source);
    let file =
        File::options().create(true).write(true).truncate(false).open(&path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_taker_of_a_lock_waits_for_the_first() {
        let cache = tempfile::tempdir().unwrap();
        let first = lock(cache.path(), "kafka").await.unwrap();
        let mut second = Box::pin(lock(cache.path(), "kafka"));
        tokio::time::timeout(Duration::from_millis(250), &mut second).await.unwrap_err();
        drop(first);
        second.await.unwrap();
    }
}
