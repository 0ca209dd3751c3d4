//! What a process says about itself to whoever asks: is it alive, is it ready.
//!
//! Ready is judged by progress, not by the process: a relay that publishes nothing while rows wait is not ready, however well its
//! threads run. The judgement belongs to the component ([`Health`]); here are only its shape and the place where the endpoint finds it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Faults;

/// The endpoint, and what counts as healthy: section `[http]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// `address:port` that serves `/livez`, `/readyz` and `/metrics`, such as `127.0.0.1:9464`. Default empty: no port is opened. It has
    /// neither password nor TLS: give it an address that only probes and Prometheus reach.
    pub listen: String,
    /// No progress for this long while there is something to do: not ready. Default 30 s, at least 1 s.
    #[serde(with = "crate::duration")]
    pub unready_after: Duration,
    /// The main loop has not turned for this long: not alive. Default 2 min, at least 90 s: the longest wait for a server that is away is shorter.
    #[serde(with = "crate::duration")]
    pub dead_after: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: String::new(),
            unready_after: Duration::from_secs(30),
            dead_after: Duration::from_mins(2),
        }
    }
}

impl HttpConfig {
    /// Adds what is wrong with it.
    pub fn check(&self, faults: &mut Faults) {
        let has_port =
            self.listen.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        faults.require(
            self.listen.is_empty() || has_port,
            "http.listen",
            "must be address:port, such as 127.0.0.1:9464, or empty for no endpoint",
        );
        let bounds = [
            ("http.unready_after", self.unready_after, Duration::from_secs(1), "at least 1s"),
            ("http.dead_after", self.dead_after, Duration::from_secs(90), "at least 90s"),
        ];
        for (place, value, least, problem) in bounds {
            faults.require(value >= least, place, &format!("must be {problem}"));
        }
    }

    /// The thresholds.
    pub const fn limits(&self) -> HealthLimits {
        HealthLimits { unready_after: self.unready_after, dead_after: self.dead_after }
    }
}

/// What counts as healthy; see [`HttpConfig`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HealthLimits {
    /// No progress for this long while there is something to do: not ready.
    pub unready_after: Duration,
    /// The main loop has not turned for this long: not alive.
    pub dead_after: Duration,
}

impl Default for HealthLimits {
    fn default() -> Self {
        HttpConfig::default().limits()
    }
}

/// A component that can tell how it is. Asked at any time, from any thread; answers from memory, at once.
pub trait Health: Send + Sync + 'static {
    /// Whether its main loop turns. If not, a restart is the cure.
    fn alive(&self) -> Verdict;
    /// Whether it makes progress, or has nothing to do.
    fn ready(&self) -> Verdict;
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Why not; empty if all is well. For people: topics and causes, no keys, no payloads.
    pub reasons: Vec<String>,
    /// What it was judged by.
    pub detail: Value,
}

impl Verdict {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.reasons.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_all_found() {
        let config = HttpConfig {
            listen: "9464".into(),
            unready_after: Duration::ZERO,
            dead_after: Duration::from_mins(1),
        };
        let mut faults = Faults::default();
        config.check(&mut faults);
        let places: Vec<_> = faults.0.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(places, ["http.listen", "http.unready_after", "http.dead_after"]);
        let mut faults = Faults::default();
        HttpConfig { listen: "[::1]:0".into(), ..HttpConfig::default() }.check(&mut faults);
        HttpConfig::default().check(&mut faults);
        assert!(faults.is_empty(), "{faults:?}");
    }
}
