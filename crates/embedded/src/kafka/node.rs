//! The files and commands of one node.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::KafkaOptions;
use crate::error::{Error, tail};

const PROPERTIES: &str = "server.properties";
/// Writes the properties, in place of all that were there.
pub(super) fn configure(
    folder: &Path,
    broker: u16,
    controller: u16,
    options: &KafkaOptions,
) -> Result<(), Error> {
    let text = properties(&folder.join("data"), broker, controller, options)?;
    let file = folder.join(PROPERTIES);
    fs::write(&file, text).map_err(|source| Error::io("write the settings of Kafka", &file, source))
}

/// Prepares the data folder.
pub(super) async fn format(libraries: &Path, folder: &Path) -> Result<(), Error> {
    // A cluster's id is 16 bytes in base64 without padding: any 21 of its digits, and one without left-over bits.
    let mut cluster = uuid::Uuid::new_v4().simple().to_string();
    cluster.replace_range(21.., "A");
    let mut arguments = java(libraries);
    arguments.extend(
        ["kafka.tools.StorageTool", "format", "-t", &cluster, "-c", PROPERTIES].map(str::to_owned),
    );
    let program = arguments.remove(0);
    let output = tokio::process::Command::new(&program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Spawn { program: "java".to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let output = tail(&String::from_utf8_lossy(&said));
    Err(Error::Prepare { program: "kafka.tools.StorageTool", output })
}

/// What starts the server, in its folder.
pub(super) fn command(libraries: &Path) -> Vec<String> {
    let mut command = java(libraries);
    command.extend(["kafka.Kafka", PROPERTIES].map(str::to_owned));
    command
}

/// Small and quick to start: one collector thread, one compiler tier.
fn java(libraries: &Path) -> Vec<String> {
    let program = std::env::var_os("JAVA_HOME")
        .map(|home| Path::new(&home).join("bin/java"))
        .filter(|java| java.is_file())
        .map_or_else(|| "java".to_owned(), |java| java.display().to_string());
    vec![
        program,
        "-Xms256m".to_owned(),
        "-Xmx512m".to_owned(),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS".to_owned(),
        "-cp".to_owned(),
        // Java itself expands the star.
        format!("{}/*", libraries.display()),
    ]
}

fn properties(
    data: &Path,
    broker: u16,
    controller: u16,
    options: &KafkaOptions,
) -> Result<String, Error> {
    let voters = format!("1@127.0.0.1:{controller}");
    let listeners = format!("PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}");
    let data = data.display().to_string();
    let ours = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &voters),
        ("listeners", &listeners),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("log.dirs", &data),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        // 50 of each by default, whose making the first group and the first transaction would wait for.
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.num.partitions", "4"),
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    let theirs = options.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut text = String::new();
    for (name, value) in ours.into_iter().chain(theirs) {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || !name.chars().all(legal) {
            return Err(Error::SettingName { name: name.to_owned() });
        }
        // Of two lines for one name the last one counts.
        text.extend([name, "=", &value.replace('\\', "\\\\").replace('\n', "\\n"), "\n"]);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_of_the_caller_comes_after_ours_and_cannot_smuggle_in_another() {
        let property = ("num.partitions".to_owned(), "3\nnode.id=2".to_owned());
        let options = KafkaOptions { properties: vec![property] };
        let text = properties(Path::new("/data"), 1, 2, &options).unwrap();
        assert!(text.ends_with("\nnum.partitions=3\\nnode.id=2\n"), "{text}");
        assert!(text.contains("\nlisteners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"));
    }
}
