use std::io::Write as _;
use std::time::Duration;

use serde::Deserialize;

use super::*;
use crate::{DatabaseConfig, KafkaConfig, LogConfig};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    database: DatabaseConfig,
    kafka: KafkaConfig,
    log: LogConfig,
    relay: Relay,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Relay {
    name: String,
    batch_rows: u32,
    #[serde(with = "crate::duration")]
    lease_ttl: Duration,
    twin: Option<u32>,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            name: "relay".into(),
            batch_rows: 1_000,
            lease_ttl: Duration::from_secs(10),
            twin: None,
        }
    }
}

impl Config for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.require(self.relay.batch_rows > 0, "relay.batch_rows", "must be at least 1");
        self.database.check(faults);
    }
}

const URL: (&str, &str) = ("DATABASE_URL", "postgres://u:hunter2@localhost/db");

fn loaded(
    toml: &str,
    variables: &[(&str, &str)],
    flags: &Overrides,
) -> Result<Settings, ConfigError> {
    let mut file = tempfile();
    file.1.write_all(toml.as_bytes()).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let result = load(Some(&file.0), variables, flags);
    std::fs::remove_file(&file.0).unwrap();
    result
}

fn tempfile() -> (std::path::PathBuf, std::fs::File) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "dionysus-config-{}-{}.toml",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::create(&path).unwrap();
    (path, file)
}

fn problems(result: Result<Settings, ConfigError>) -> Vec<String> {
    let faults = result.unwrap_err().faults;
    faults.iter().map(|fault| format!("{}: {}", fault.place, fault.problem)).collect()
}

#[test]
fn later_layers_win() {
    let toml = "[relay]\nname = 'file'\nbatch_rows = 1\nlease_ttl = '1m'\n[log]\nfilter = 'warn'";
    let variables = [URL, ("DIONYSUS_RELAY__BATCH_ROWS", "2"), ("DIONYSUS_LOG__FILTER", "info")];
    let flags =
        Overrides::default().set("log.filter", Some("debug")).set("relay.name", None::<&str>);
    let settings = loaded(toml, &variables, &flags).unwrap();
    assert_eq!(settings.relay.name, "file");
    assert_eq!(settings.relay.batch_rows, 2);
    assert_eq!(settings.relay.lease_ttl, Duration::from_mins(1));
    assert_eq!(settings.log.filter, "debug");
    assert_eq!(settings.database.url.expose(), URL.1);
}

#[test]
fn names_of_ours_win_over_common_ones() {
    let variables = [("DIONYSUS_DATABASE__URL", "postgres://ours"), URL];
    let settings = loaded("", &variables, &Overrides::default()).unwrap();
    assert_eq!(settings.database.url.expose(), "postgres://ours");
}

#[test]
fn all_faults_are_told_at_once_with_their_origin() {
    let toml =
        "[relay]\nbatch_rows = 'many'\nlease_ttl = '10'\nbach_rows = 1\n[kafak]\nbrokers = 'x'";
    let error = loaded(toml, &[("DIONYSUS_RELAY__TWIN", "x")], &Overrides::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the configuration has 6 faults:\n  - "), "{text}");
    for part in [
        "kafak (",
        "did you mean `kafka`?",
        "relay.bach_rows (",
        "did you mean `batch_rows`?",
        "relay.batch_rows (",
        "found string \"many\", expected u32",
        "`10` is no duration",
        "relay.twin (variable DIONYSUS_RELAY__TWIN): ",
        "database.url: ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn rules_between_settings_are_checked() {
    let result = loaded("[relay]\nbatch_rows = 0", &[URL], &Overrides::default());
    assert_eq!(problems(result), ["relay.batch_rows: must be at least 1"]);
}

#[test]
fn text_that_looks_like_a_number_stays_text_where_text_is_wanted() {
    let variables = [URL, ("DIONYSUS_RELAY__NAME", "007"), ("DIONYSUS_RELAY__TWIN", "7")];
    let settings = loaded("", &variables, &Overrides::default()).unwrap();
    assert_eq!(settings.relay.name, "007");
    assert_eq!(settings.relay.twin, Some(7));
}

#[test]
fn properties_of_librdkafka_pass_by_file_and_environment() {
    let toml = "[kafka.properties]\n'sasl.username' = 'u'\n'linger' = 5";
    let variables = [URL, ("DIONYSUS_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2")];
    let settings = loaded(toml, &variables, &Overrides::default()).unwrap();
    let exposed: Vec<(&str, &str)> =
        settings.kafka.properties.iter().map(|(k, v)| (k.as_str(), v.expose())).collect();
    assert_eq!(exposed, [("linger", "5"), ("sasl.password", "hunter2"), ("sasl.username", "u")]);
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn sections_of_other_binaries_are_let_be_and_others_are_not() {
    let variables = [URL, ("DIONYSUS_CONSUMER__GROUP", "g"), ("DIONYSUS_CONFIG", "x.toml")];
    loaded("[consumer]\nanything = 1", &variables, &Overrides::default()).unwrap();
    let result = loaded("[other]\nanything = 1", &[URL], &Overrides::default());
    assert_eq!(problems(result), ["other: unknown setting; there are database, kafka, log, relay"]);
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let missing = Path::new("/does/not/exist.toml");
    let error = load::<Settings>(
        Some(missing),
        std::iter::once(URL).map(|(k, v)| (k.into(), v.into())),
        &Overrides::default(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("/does/not/exist.toml: cannot be read: "), "{error}");
}

#[test]
fn a_file_that_cannot_be_parsed_is_a_fault_with_its_line_and_without_its_text() {
    let result = loaded("[database]\nurl = 'postgres://u:hunter2@h", &[URL], &Overrides::default());
    let problems = problems(result);
    assert!(problems[0].contains("at line 2"), "{problems:?}");
    assert!(!problems[0].contains("hunter2"), "{problems:?}");
}
