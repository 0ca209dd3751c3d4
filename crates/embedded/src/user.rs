//! Whom a server runs as. Postgres refuses to run as root, and containers and CI machines often have nobody else.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

/// The account of a server: ours, unless we are root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerUser {
    /// The account of this process.
    Ours,
    /// Another one, because this process is root.
    Other { uid: u32, gid: u32 },
}

impl ServerUser {
    /// Who owns what we create decides, since asking the system for our user id would need `unsafe`.
    fn for_owner_of(folder: &Path) -> Result<Self, Error> {
        let uid = std::fs::metadata(folder)
            .map_err(|source| Error::io("look at the folder of a server", folder, source))?
            .uid();
        if uid != 0 {
            return Ok(Self::Ours);
        }
        let accounts = Path::new("/etc/passwd");
        let text = std::fs::read_to_string(accounts)
            .map_err(|source| Error::io("read the accounts of this machine", accounts, source))?;
        ["postgres", "nobody"].iter().find_map(|name| account(&text, name)).ok_or(Error::NoUser)
    }

    /// Makes the command run as this user.
    pub(crate) fn apply(&self, command: &mut std::process::Command) {
        if let Self::Other { uid, gid } = self {
            // `uid` also drops the supplementary groups when we are root.
            command.uid(*uid).gid(*gid);
        }
    }

    /// Whether the user can reach `path`: every folder on the way lets others through.
    pub(crate) fn reaches(&self, path: &Path) -> bool {
        *self == Self::Ours || path.ancestors().all(|folder| others_may(folder, 0o001))
    }
}

/// A new, empty folder for a server, and the user who owns it and runs the server. It goes when the value is dropped.
pub(crate) fn server_folder(prefix: &str) -> Result<(TempDir, ServerUser), Error> {
    let bases = [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    let mut last = None;
    for base in bases {
        match folder_in(&base, prefix) {
            Ok((folder, user)) => {
                // The user must get there, and must be allowed to remove the folder.
                if user == ServerUser::Ours || (user.reaches(&base) && others_may(&base, 0o003)) {
                    return Ok((folder, user));
                }
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or(Error::NoFolder))
}

/// A new, empty folder for a server that runs as we do. It goes when the value is dropped.
pub(crate) fn own_folder(prefix: &str) -> Result<TempDir, Error> {
    let base = std::env::temp_dir();
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(&base)
        .map_err(|source| Error::io("make a folder for a server", &base, source))
}

fn folder_in(base: &Path, prefix: &str) -> Result<(TempDir, ServerUser), Error> {
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(base)
        .map_err(|source| Error::io("make a folder for a server", base, source))?;
    let user = ServerUser::for_owner_of(folder.path())?;
    if let ServerUser::Other { uid, gid } = user {
        std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).map_err(|source| {
            Error::io("give a folder to the server's user", folder.path(), source)
        })?;
    }
    Ok((folder, user))
}

fn others_may(folder: &Path, bits: u32) -> bool {
    std::fs::metadata(folder).is_ok_and(|found| found.mode() & bits == bits)
}

/// A line is `name:password:uid:gid:...`.
fn account(passwd: &str, name: &str) -> Option<ServerUser> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(ServerUser::Other { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n\
        toor:x:0:0::/:/bin/sh\nbroken:x\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        assert_eq!(account(PASSWD, "nobody"), Some(ServerUser::Other { uid: 65534, gid: 65533 }));
        assert_eq!(account(PASSWD, "nobod"), None);
        assert_eq!(account(PASSWD, "broken"), None);
    }

    #[test]
    fn another_name_of_root_is_not_taken() {
        assert_eq!(account(PASSWD, "toor"), None);
    }
}
