//! Finding a Postgres to start.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::user::ServerUser;

/// The variable that names the folder of `initdb` and `postgres`.
pub(crate) const VARIABLE: &str = "PG_BIN_DIR";

/// Where the programs `initdb` and `postgres` come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Binaries {
    /// `$PG_BIN_DIR`, else the machine's (on `PATH`, else the newest of `/usr/lib/postgresql/*/bin` and of the places where
    /// other systems install it), else downloaded as by [`Binaries::Download`] with the feature `download`.
    #[default]
    Auto,
    /// From Maven Central (`io.zonky.test.postgres`), kept in the cache folder; with the feature `download`.
    Download,
    /// This folder.
    Folder(PathBuf),
}

impl Binaries {
    /// The folder that holds the programs, downloaded first if need be.
    pub(crate) async fn locate(&self, user: &ServerUser) -> Result<PathBuf, Error> {
        let searched = match self {
            Self::Folder(folder) => vec![folder.clone()],
            Self::Download => return download(user, Vec::new()).await,
            Self::Auto => match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
                Some(folder) => vec![PathBuf::from(folder)],
                None => candidates(),
            },
        };
        if let Some(found) = searched.iter().find(|folder| is_complete(folder, user)) {
            return Ok(real(found));
        }
        if *self == Self::Auto && std::env::var_os(VARIABLE).is_none_or(|value| value.is_empty()) {
            return download(user, searched).await;
        }
        Err(Error::PostgresMissing { searched })
    }
}

#[cfg(feature = "download")]
async fn download(user: &ServerUser, _searched: Vec<PathBuf>) -> Result<PathBuf, Error> {
    crate::download::postgres(user).await
}

#[cfg(not(feature = "download"))]
#[expect(clippy::unused_async, reason = "the same signature as with the feature")]
async fn download(_user: &ServerUser, searched: Vec<PathBuf>) -> Result<PathBuf, Error> {
    Err(Error::PostgresMissing { searched })
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut debian = versions_in(Path::new("/usr/lib/postgresql"));
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.extend(debian.into_iter().map(|(_, folder)| folder));
    found.extend(
        ["/usr/pgsql/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql/bin"]
            .map(PathBuf::from),
    );
    found
}

/// The folders `N/bin` below `root`, with their version.
fn versions_in(root: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect()
}

/// Where links on `PATH` lead, for there the client programs are as well.
fn real(folder: &Path) -> PathBuf {
    let program = folder.join("postgres").canonicalize().ok();
    let real = program.as_deref().and_then(Path::parent);
    real.filter(|real| real.join("initdb").is_file()).unwrap_or(folder).to_owned()
}

fn is_complete(folder: &Path, user: &ServerUser) -> bool {
    folder.is_absolute()
        && ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
        && user.reaches(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_other_names_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "README"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let mut versions: Vec<u32> =
            versions_in(root.path()).into_iter().map(|(version, _)| version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [9, 15]);
    }

    #[tokio::test]
    async fn a_named_folder_without_programs_is_an_error_that_names_it() {
        let empty = tempfile::tempdir().unwrap();
        let error =
            Binaries::Folder(empty.path().into()).locate(&ServerUser::Ours).await.unwrap_err();
        assert!(error.to_string().contains(empty.path().to_str().unwrap()), "{error}");
        assert!(error.remedy().unwrap().contains(VARIABLE));
    }
}
