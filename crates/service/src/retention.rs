//! How long published rows stay in the outbox: one setting for the relay, which retires them, and for whoever judges that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Faults;

/// The shortest `keep`: below that a leaf of a day is as old as its rows.
const KEEP_MIN: Duration = Duration::from_mins(1);

/// Section `[retention]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Whether rows that every lane has passed are retired. Default on. Off: the outbox grows until somebody else sees to it.
    pub enabled: bool,
    /// How long rows stay at least. They go by partitions, so up to a day later. Default 3 days.
    #[serde(with = "crate::duration")]
    pub keep: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { enabled: true, keep: Duration::from_hours(72) }
    }
}

impl RetentionConfig {
    /// Adds what is wrong with it.
    pub fn check(&self, faults: &mut Faults) {
        faults.require(self.keep >= KEEP_MIN, "retention.keep", "must be at least 1m");
    }

    /// `keep`, unless it is off.
    pub fn kept(&self) -> Option<Duration> {
        self.enabled.then_some(self.keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_keeps_three_days_and_a_moment_is_refused() {
        assert_eq!(RetentionConfig::default().kept(), Some(Duration::from_hours(3 * 24)));
        let config = RetentionConfig { enabled: false, keep: Duration::from_secs(1) };
        let mut faults = Faults::default();
        config.check(&mut faults);
        assert_eq!(faults.0[0].place, "retention.keep");
        assert_eq!(config.kept(), None);
    }
}
