//! The programs of Apache Kafka, from Maven Central.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::cache;
use crate::error::{Error, tail};
use crate::user::ServerUser;

/// The version that [`Kafka`](super::Kafka) runs.
pub const KAFKA_VERSION: &str = "4.1.0";

/// A network may fail once.
const TRIES: usize = 2;

/// The folder of the jars. Of several processes one fetches and the others wait; a half-made folder is never seen, because
/// it gets its name when it is whole.
pub(super) async fn fetched() -> Result<PathBuf, Error> {
    let cache = cache::folder(&ServerUser::Ours)?;
    let folder = cache.join(format!("kafka-{KAFKA_VERSION}"));
    let _lock = cache::lock(&cache, "kafka").await?;
    if folder.is_dir() {
        return Ok(folder);
    }
    tracing::info!(version = KAFKA_VERSION, "fetching Apache Kafka with maven");
    let partial = tempfile::Builder::new()
        .prefix("kafka-partial-")
        .tempdir_in(&cache)
        .map_err(|source| Error::io("make a folder in the cache", &cache, source))?;
    let project = partial.path().join("pom.xml");
    fs::write(&project, project_text())
        .map_err(|source| Error::io("write the maven project", &project, source))?;
    let libraries = partial.path().join("libs");
    let mut attempt = 1;
    while let Err(output) = copy_dependencies(&project, &libraries).await? {
        if attempt == TRIES {
            return Err(Error::KafkaFetch { version: KAFKA_VERSION, output });
        }
        attempt += 1;
    }
    fs::rename(&libraries, &folder)
        .map_err(|source| Error::io("name the folder of Kafka", &folder, source))?;
    Ok(folder)
}

/// The inner error is what Maven said.
async fn copy_dependencies(project: &Path, libraries: &Path) -> Result<Result<(), String>, Error> {
    let output = tokio::process::Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", libraries.display()))
        .arg("-f")
        .arg(project)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Spawn { program: "mvn".to_owned(), source })?;
    if output.status.success() && libraries.is_dir() {
        return Ok(Ok(()));
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Err(tail(&String::from_utf8_lossy(&said))))
}

fn project_text() -> String {
    let dependency = |group: &str, artifact: &str, version: &str| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        )
    };
    let dependencies = [
        dependency("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        dependency("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
        // Without it Kafka logs nothing, not even why it ends; for the slf4j of that version.
        dependency("org.slf4j", "slf4j-simple", "1.7.36"),
    ];
    format!(
        "<project><modelVersion>4.0.0</modelVersion>\
         <groupId>dionysus</groupId><artifactId>kafka</artifactId><version>1</version>\
         <dependencies>{}</dependencies></project>\n",
        dependencies.concat(),
    )
}
