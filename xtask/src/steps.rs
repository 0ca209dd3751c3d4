//! Steps with a name and a time, and a summary of them.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What became of the steps so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    tests: Option<usize>,
    failure: Option<String>,
}

impl Steps {
    /// Runs one. A failure is kept for the summary, and the next step runs all the same: one run shows all faults.
    pub(crate) async fn run(
        &mut self,
        name: &'static str,
        step: impl Future<Output = Result<Option<usize>>>,
    ) {
        println!("\n==> {name}");
        let started = Instant::now();
        let outcome = step.await;
        let took = started.elapsed();
        let (tests, failure) = match outcome {
            Ok(tests) => (tests, None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        if let Some(failure) = &failure {
            eprintln!("error: {name}: {failure}");
        }
        self.done.push(Step { name, took, tests, failure });
    }

    /// A line for the end of the summary.
    pub(crate) fn note(&mut self, line: String) {
        self.notes.push(line);
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// A step failed: the error names all that did.
    pub(crate) fn finish(&self) -> Result<()> {
        println!("\n{:<22}{:>9}{:>8}", "step", "seconds", "tests");
        for step in &self.done {
            let tests = step.tests.map(|tests| tests.to_string()).unwrap_or_default();
            let outcome = if step.failure.is_some() { "  FAILED" } else { "" };
            println!("{:<22}{:>9.1}{tests:>8}{outcome}", step.name, step.took.as_secs_f64());
        }
        let took: Duration = self.done.iter().map(|step| step.took).sum();
        let tests: usize = self.done.iter().filter_map(|step| step.tests).sum();
        println!("{:<22}{:>9.1}{tests:>8}", "all", took.as_secs_f64());
        for note in &self.notes {
            println!("{note}");
        }
        std::io::stdout().flush()?;
        let failed: Vec<&str> =
            self.done.iter().filter(|s| s.failure.is_some()).map(|s| s.name).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_step_runs_and_the_end_names_the_failed_ones() {
        let mut steps = Steps::default();
        steps.run("format", async { bail!("two files differ") }).await;
        steps.run("tests", async { Ok(Some(3)) }).await;
        steps.run("docs", async { bail!("a link is broken") }).await;
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: format, docs");
        assert_eq!(steps.done[1].tests, Some(3));
    }
}
