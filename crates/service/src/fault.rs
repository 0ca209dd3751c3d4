//! What is wrong with a configuration: everything at once, each with its place.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where: the path of the setting (`relay.batch_rows`), or the name of a file.
    pub place: String,
    /// Who said it: a file, a variable or a flag; empty if nobody did.
    pub origin: String,
    /// What is wrong, and where possible what would be right.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if !self.origin.is_empty() {
            write!(f, " ({})", self.origin)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Collects faults; see [`Config::check`](crate::Config::check).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// Adds one, with the full path of the setting and the constraint that it breaks.
    pub fn add(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Fault { place: place.into(), origin: String::new(), problem: problem.into() });
    }

    /// Adds one unless `holds`.
    pub fn require(&mut self, holds: bool, place: &str, problem: &str) {
        if !holds {
            self.add(place, problem);
        }
    }

    /// None so far.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// All faults that were found; at least one.
    pub faults: Vec<Fault>,
}

impl ConfigError {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        Some("correct the settings named above; `--help` tells where they come from".into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.faults[..] {
            [one] => write!(f, "the configuration has a fault: {one}"),
            faults => {
                write!(f, "the configuration has {} faults:", faults.len())?;
                faults.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
            }
        }
    }
}
