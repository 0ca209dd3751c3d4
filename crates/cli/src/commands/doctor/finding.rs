//! One line of the doctor.

use serde_json::{Value, json};

/// What was looked at, and how it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) state: State,
    pub(super) what: String,
    pub(super) remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Ok,
    /// Good to know; no fault.
    Note,
    Fault,
}

impl State {
    pub(super) const fn shown(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fault => "FAULT",
        }
    }
}

impl Finding {
    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, state: State::Ok, what: what.into(), remedy: None }
    }

    pub(super) fn note(check: &'static str, what: impl Into<String>) -> Self {
        Self { state: State::Note, ..Self::ok(check, what) }
    }

    pub(super) fn fault(check: &'static str, what: impl Into<String>) -> Self {
        Self { state: State::Fault, ..Self::ok(check, what) }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// An error of a check is its finding: the others are looked at all the same.
    pub(super) fn of_postgres(check: &'static str, error: &dionysus_postgres::Error) -> Self {
        Self { remedy: error.remedy(), ..Self::fault(check, with_cause(error)) }
    }

    pub(super) fn of_kafka(check: &'static str, error: &dionysus_kafka::Error) -> Self {
        Self { remedy: error.remedy(), ..Self::fault(check, with_cause(error)) }
    }

    pub(super) fn json(&self) -> Value {
        let state = self.state.shown().to_lowercase();
        json!({ "check": self.check, "state": state, "what": self.what, "remedy": self.remedy })
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
