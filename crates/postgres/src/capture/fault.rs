//! Why a model can't be captured.

use std::fmt;

/// One reason, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CaptureFault {
    /// The model; `None` when the whole database is the reason.
    pub model: Option<String>,
    /// What is in the way.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for CaptureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => write!(f, "model `{model}`: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// All reasons, in one line.
pub(crate) fn join(faults: &[CaptureFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What to do about all of them, each said once.
pub(crate) fn remedies(faults: &[CaptureFault]) -> String {
    let mut said: Vec<&str> = Vec::new();
    for fault in faults {
        if !said.contains(&fault.remedy) {
            said.push(fault.remedy);
        }
    }
    said.join("; ")
}
