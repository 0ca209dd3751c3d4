//! Loading a configuration: layers, and all faults at once.
//!
//! Layers, low to high: defaults, a TOML file, `DATABASE_URL` and `KAFKA_BROKERS`, variables named
//! `DIONYSUS_SECTION__KEY`, flags. serde stops at the first fault; people want them all. So every setting that somebody made
//! is first tried alone, on top of the defaults: what fails then is a fault of that setting, with its origin. Unknown
//! settings are found by comparing with the defaults, which therefore must hold every setting.

mod layer;
mod suggest;

use std::path::Path;

use figment::Figment;
use figment::providers::Serialized;
use figment::value::{Dict, Tag, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{ConfigError, Fault, Faults};
use layer::Setting;

/// Sections of other binaries: one file and one environment may serve them all.
const SECTIONS: [&str; 5] = ["relay", "consumer", "producer", "http", "retention"];

/// A configuration. Derive the supertraits with `#[serde(default, deny_unknown_fields)]`; its defaults must serialize
/// every setting (no `skip_serializing_if`).
pub trait Config: Default + Serialize + DeserializeOwned {
    /// Adds what no type can express: ranges, and settings that contradict each other. Also called on the defaults of
    /// what could not be read, so that one run shows all faults: name only what is really wrong.
    fn check(&self, faults: &mut Faults);
}

/// Flags, as the highest layer.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<(&'static str, Value)>);

impl Overrides {
    /// Sets what is at `path` (`log.filter`) if the flag was given.
    #[must_use]
    pub fn set<T: Serialize>(mut self, path: &'static str, value: Option<T>) -> Self {
        if let Some(value) = value.and_then(|value| Value::serialize(value).ok()) {
            self.0.push((path, value));
        }
        self
    }
}

/// Loads a configuration from all its layers.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_config<T: Config>(
    file: Option<&Path>,
    overrides: &Overrides,
) -> Result<T, ConfigError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load(file, environment, overrides)
}

fn load<T: Config>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<T, ConfigError> {
    let mut faults = Vec::new();
    let defaults = tree(&T::default());
    let mut settings = file.map_or_else(Vec::new, |file| layer::file(file, &defaults, &mut faults));
    settings.extend(layer::environment(environment, &defaults));
    settings.extend(layer::flags(&overrides.0));

    let mut figment = Figment::from(Serialized::defaults(T::default()));
    for setting in settings {
        if setting.path.first().is_some_and(|section| is_of_another_binary(section, &defaults)) {
            continue;
        }
        match accept::<T>(&setting, &defaults) {
            Ok(value) => figment = figment.merge(setting.nested(value)),
            Err(problem) => faults.push(setting.fault(problem)),
        }
    }
    // Each setting was good alone; together they can only fail where a type has rules across its fields.
    let config = figment.extract::<T>().unwrap_or_else(|error| {
        faults.push(Fault {
            place: error.path.join("."),
            origin: String::new(),
            problem: error.kind.to_string(),
        });
        T::default()
    });
    let mut checked = Faults::default();
    config.check(&mut checked);
    // A setting that could not be read has said what is wrong with it.
    checked.0.retain(|fault| faults.iter().all(|known| known.place != fault.place));
    faults.append(&mut checked.0);
    if faults.is_empty() { Ok(config) } else { Err(ConfigError { faults }) }
}

/// The value to use for a setting, or what is wrong with it.
fn accept<T: Config>(setting: &Setting, defaults: &Dict) -> Result<Value, String> {
    if let Some(problem) = suggest::unknown(&setting.path, defaults) {
        return Err(problem);
    }
    let mut problem = String::new();
    for value in setting.candidates() {
        let alone =
            Figment::from(Serialized::defaults(T::default())).merge(setting.nested(value.clone()));
        match alone.extract::<T>() {
            Ok(_) => return Ok(value),
            Err(error) => problem = error.kind.to_string(),
        }
    }
    Err(problem)
}

fn is_of_another_binary(section: &str, defaults: &Dict) -> bool {
    SECTIONS.contains(&section) && !defaults.contains_key(section)
}

fn tree<T: Serialize>(config: &T) -> Dict {
    match Value::serialize(config) {
        Ok(Value::Dict(_, dict)) => dict,
        Ok(_) | Err(_) => Dict::new(),
    }
}

/// `value`, below the keys of `path`.
fn nest(path: &[String], value: Value) -> Dict {
    let Some((last, above)) = path.split_last() else {
        return Dict::new();
    };
    above.iter().rev().fold(Dict::from([(last.clone(), value)]), |inner, key| {
        Dict::from([(key.clone(), Value::Dict(Tag::Default, inner))])
    })
}

#[cfg(test)]
mod tests;
