//! How long to wait before something is tried again.

use std::time::Duration;

use rand::Rng as _;

/// Doubles from a first wait to a longest, each time somewhere in its upper half, so that what failed together does not come back together.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// How often was waited since the last success.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The next wait.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1 << self.attempts.min(16)).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        whole.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for whole in [100, 200, 400, 800, 1_000, 1_000] {
            let wait = backoff.wait();
            assert!(
                wait >= Duration::from_millis(whole / 2) && wait <= Duration::from_millis(whole),
                "{wait:?} of {whole}"
            );
        }
        assert_eq!(backoff.attempts(), 6);
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(100));
    }
}
