//! The layers, each taken apart into single settings.

use std::path::Path;

use figment::Provider;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};

use super::nest;
use crate::Fault;

/// Before the name of a setting in the environment.
const PREFIX: &str = "DIONYSUS_";

/// Read by [`Common`](crate::Common) and no setting itself.
const CONFIG_FILE: &str = "DIONYSUS_CONFIG";

/// Names that other tools use, too.
const ALIASES: [(&str, [&str; 2]); 2] =
    [("DATABASE_URL", ["database", "url"]), ("KAFKA_BROKERS", ["kafka", "brokers"])];

/// One setting that somebody made.
pub(super) struct Setting {
    pub(super) path: Vec<String>,
    value: Value,
    /// Text from outside TOML may mean a number, or a text that looks like one.
    is_text: bool,
    origin: String,
}

impl Setting {
    /// What it may mean, most literal first.
    pub(super) fn candidates(&self) -> Vec<Value> {
        let mut candidates = vec![self.value.clone()];
        if let (true, Some(text)) = (self.is_text, self.value.as_str()) {
            candidates.extend(text.parse::<Value>().ok());
        }
        candidates
    }

    pub(super) fn nested(&self, value: Value) -> Serialized<Dict> {
        Serialized::defaults(nest(&self.path, value))
    }

    pub(super) fn fault(&self, problem: String) -> Fault {
        Fault { place: self.path.join("."), origin: self.origin.clone(), problem }
    }
}

pub(super) fn file(file: &Path, defaults: &Dict, faults: &mut Vec<Fault>) -> Vec<Setting> {
    let origin = file.display().to_string();
    let mut fail = |problem: String| {
        faults.push(Fault { place: origin.clone(), origin: String::new(), problem });
        Vec::new()
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return fail(format!("cannot be read: {error}")),
    };
    match Toml::string(&text).data() {
        Ok(profiles) => {
            let mut settings = Vec::new();
            for dict in profiles.into_values() {
                leaves(dict, Some(defaults), &mut Vec::new(), &origin, &mut settings);
            }
            settings
        }
        Err(error) => fail(without_excerpt(&error.kind.to_string())),
    }
}

/// The parser quotes the line it does not understand, which may hold a password.
fn without_excerpt(problem: &str) -> String {
    let mut lines = problem.lines().filter(|line| !line.trim().is_empty());
    let place = lines.next().unwrap_or_default().trim_start_matches("TOML parse error ");
    let reason = lines.next_back().filter(|line| !line.contains('|')).unwrap_or("not valid TOML");
    format!("{reason} {place}")
}

pub(super) fn environment(
    variables: impl Iterator<Item = (String, String)>,
    defaults: &Dict,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, text) in variables {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let path = match (alias, name.strip_prefix(PREFIX)) {
            (Some((_, [section, key])), _) if has(defaults, section, key) => {
                vec![(*section).to_owned(), (*key).to_owned()]
            }
            (None, Some(rest)) if name != CONFIG_FILE => path_of(rest),
            _ => continue,
        };
        let origin = format!("variable {name}");
        settings.push((
            alias.is_none(),
            name,
            Setting { path, value: text.into(), is_text: true, origin },
        ));
    }
    // Our own names win over the common ones.
    settings.sort_by(|(a, x, _), (b, y, _)| (a, x).cmp(&(b, y)));
    settings.into_iter().map(|(_, _, setting)| setting).collect()
}

/// `KAFKA__PROPERTIES__SASL_MECHANISM` is `kafka.properties."sasl.mechanism"`: variables have no dots, librdkafka's properties no
/// underscores.
fn path_of(name: &str) -> Vec<String> {
    let mut path: Vec<String> = name.split("__").map(str::to_ascii_lowercase).collect();
    if let [section, map, property] = &mut path[..]
        && section == "kafka"
        && map == "properties"
    {
        *property = property.replace('_', ".");
    }
    path
}

pub(super) fn flags(overrides: &[(&'static str, Value)]) -> Vec<Setting> {
    let setting = |(path, value): &(&'static str, Value)| Setting {
        path: path.split('.').map(str::to_owned).collect(),
        value: value.clone(),
        is_text: true,
        origin: "flag".into(),
    };
    overrides.iter().map(setting).collect()
}

/// Takes a table apart, as far as the defaults are tables: what they hold no table for (an optional section) is one
/// setting.
fn leaves(
    dict: Dict,
    defaults: Option<&Dict>,
    path: &mut Vec<String>,
    origin: &str,
    settings: &mut Vec<Setting>,
) {
    for (key, value) in dict {
        let known = defaults.and_then(|defaults| defaults.get(&key));
        path.push(key);
        match (value, known) {
            (Value::Dict(_, inner), Some(Value::Dict(_, known))) => {
                leaves(inner, Some(known), path, origin, settings);
            }
            (value, _) => settings.push(Setting {
                path: path.clone(),
                value,
                is_text: false,
                origin: origin.to_owned(),
            }),
        }
        path.pop();
    }
}

fn has(defaults: &Dict, section: &str, key: &str) -> bool {
    matches!(defaults.get(section), Some(Value::Dict(_, inner)) if inner.contains_key(key))
}
