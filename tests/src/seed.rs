//! Schedules that a number repeats.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::figure;

/// What a test draws its schedule from: `DIONYSUS_SEED`, else a new number. Printed when made, so that a failure can be repeated.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64);

impl Seed {
    /// The seed of this run.
    ///
    /// # Panics
    /// When `DIONYSUS_SEED` is not a number: a typing error must not draw a schedule of its own.
    pub fn of_run() -> Self {
        let given = std::env::var_os("DIONYSUS_SEED").filter(|value| !value.is_empty());
        let seed: u64 = match given {
            None => rand::random::<u32>().into(),
            Some(value) => match value.to_str().map(str::parse) {
                Some(Ok(seed)) => seed,
                _ => panic!("DIONYSUS_SEED is not a number"),
            },
        };
        figure(format_args!("seed {seed} (DIONYSUS_SEED={seed} repeats the schedule)"));
        Self(seed)
    }

    /// An independent stream of numbers, the same for the same seed and number.
    pub fn stream(self, number: u64) -> StdRng {
        StdRng::seed_from_u64(self.0.wrapping_mul(1_000_003).wrapping_add(number))
    }
}
