//! The data folder of a server: made by `initdb`, then told its settings.

use std::path::Path;

use super::options::PostgresOptions;
use crate::error::{Error, tail};
use crate::user::ServerUser;

const FILE: &str = "postgresql.conf";

/// Makes the cluster `folder/data`, whose superuser `postgres` has this password.
pub(super) async fn initialise(
    bin: &Path,
    folder: &Path,
    user: &ServerUser,
    password: &str,
) -> Result<(), Error> {
    let password_file = folder.join("password");
    write_as(user, &password_file, password)?;
    let mut command = std::process::Command::new(bin.join("initdb"));
    command
        .args([
            "--username=postgres",
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ])
        .arg(format!("--pwfile={}", password_file.display()))
        .arg(format!("--pgdata={}", folder.join("data").display()))
        .current_dir(folder)
        .stdin(std::process::Stdio::null());
    user.apply(&mut command);
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Spawn { program: "initdb".to_owned(), source })?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let output = tail(&String::from_utf8_lossy(&said));
        return Err(Error::Prepare { program: "initdb", output });
    }
    std::fs::remove_file(&password_file)
        .map_err(|source| Error::io("remove the password file", &password_file, source))
}

/// Writes the settings, in place of all that were there.
pub(super) fn configure(data: &Path, port: u16, options: &PostgresOptions) -> Result<(), Error> {
    let file = data.join(FILE);
    let text = settings(port, options)?;
    std::fs::write(&file, text)
        .map_err(|source| Error::io("write the settings of postgres", &file, source))
}

fn settings(port: u16, options: &PostgresOptions) -> Result<String, Error> {
    let port = port.to_string();
    let durable = if options.durable { "on" } else { "off" };
    let ours = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        // A socket file's path may be longer than the system allows, and nobody needs it.
        ("unix_socket_directories", ""),
        ("max_connections", "200"),
        ("wal_level", "replica"),
        ("fsync", durable),
        ("full_page_writes", durable),
        // On in any case: what a crash may lose is a property of the system under test.
        ("synchronous_commit", "on"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("lc_messages", "C"),
        ("log_line_prefix", "%m [%p] %a "),
    ];
    let theirs = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut text = String::new();
    for (name, value) in ours.into_iter().chain(theirs) {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if name.is_empty() || !name.chars().all(legal) {
            return Err(Error::SettingName { name: name.to_owned() });
        }
        let value = value.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
        // Of two lines for one name the last one counts.
        text.extend([name, " = '", &value, "'\n"]);
    }
    Ok(text)
}

fn write_as(user: &ServerUser, file: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::io("write a file for the server's user", file, source);
    std::fs::write(file, text).map_err(failed)?;
    if let ServerUser::Other { uid, gid } = *user {
        std::os::unix::fs::chown(file, Some(uid), Some(gid)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> PostgresOptions {
        let settings = vec![(name.to_owned(), value.to_owned())];
        PostgresOptions { settings, ..PostgresOptions::default() }
    }

    #[test]
    fn a_setting_of_the_caller_comes_after_ours_and_is_quoted() {
        let text = settings(5432, &with("log_line_prefix", "it's \\ %m")).unwrap();
        assert!(text.ends_with("log_line_prefix = 'it''s \\\\ %m'\n"), "{text}");
    }

    #[test]
    fn a_setting_cannot_smuggle_in_another() {
        let error = settings(5432, &with("work_mem = '1MB'\nfsync", "on")).unwrap_err();
        assert!(matches!(error, Error::SettingName { .. }), "{error}");
        let text = settings(5432, &with("work_mem", "1MB'\nfsync = 'on")).unwrap();
        assert!(!text.contains("\nfsync = 'on"), "{text}");
    }
}
