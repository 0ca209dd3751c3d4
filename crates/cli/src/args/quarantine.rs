//! What can be typed after `dionysus quarantine`.

use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use dionysus_postgres::quarantine::Target;
use dionysus_service::{EXIT_CODES, duration};

/// The longest wait for a lane's owner.
const WAIT_MAX: Duration = Duration::from_hours(1);

#[derive(Debug, Subcommand)]
pub(crate) enum Quarantine {
    /// Show the rows that were refused, each with its cause and how many rows of its key wait behind it
    ///
    /// Keys are shown, payloads are not.
    #[command(after_help = EXIT_CODES)]
    List(ListRows),
    /// Show one row
    #[command(after_help = EXIT_CODES)]
    Show(ShowRow),
    /// Try rows again now; those of their keys that wait behind them follow if they are taken
    ///
    /// Rows are also tried by themselves: after 30 s at first, then in growing intervals, up to an hour.
    #[command(after_help = EXIT_CODES)]
    Retry(Decide),
    /// Never publish these rows; those of their keys that wait behind them go on
    ///
    /// A snapshot is the whole state of an instance, so the next one of the same key brings replicas up to date.
    #[command(after_help = EXIT_CODES)]
    Skip(Decide),
    /// Never publish these rows, nor those of their keys that wait behind them
    ///
    /// Rows of the key that are written later are published again.
    #[command(after_help = EXIT_CODES)]
    Drop(Decide),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListRows {
    /// Only of this topic
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    /// Also the rows that wait behind refused ones
    #[arg(long)]
    pub(crate) behind: bool,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShowRow {
    /// The topic, with its namespace: `v3_rentals`
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// The row's number, as `quarantine list` shows it
    #[arg(value_name = "SEQ", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) seq: i64,
    /// Also what the row holds: its payload, or the columns that a trigger captured, and its headers. THIS MAY BE PERSONAL DATA: mind where
    /// the output goes
    #[arg(long)]
    pub(crate) payload: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Decide {
    /// The topic, with its namespace: `v3_rentals`
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) rows: Rows,
    /// Don't ask. `skip` and `drop` ask on a terminal, and do nothing elsewhere without this flag; `retry` never asks
    #[arg(long)]
    pub(crate) yes: bool,
    /// Wait until the lane's owner has done it, and tell what came of it; exit 1 if a row was refused again, or if it is not done in time
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = wait)]
    pub(crate) wait: Option<Duration>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Rows {
    /// The row of this number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    seq: Option<i64>,
    /// The first row of this key, such as `Rental:1`: the one that holds it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Every row of the topic that was refused
    #[arg(long)]
    all: bool,
}

impl Rows {
    pub(crate) fn target(&self) -> Target<'_> {
        match (self.seq, self.key.as_deref()) {
            (Some(seq), _) => Target::Row(seq),
            (None, Some(key)) => Target::Key(key),
            // The group is required: it is `all`.
            (None, None) => Target::All,
        }
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = duration::parse(text)?;
    if wait > WAIT_MAX {
        return Err(format!("at most {}", duration::format(WAIT_MAX)));
    }
    Ok(wait)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(arguments: &[&str]) -> Option<Quarantine> {
        let arguments = ["dionysus", "quarantine"].iter().chain(arguments);
        match Args::try_parse_from(arguments).ok()?.command {
            Command::Quarantine(command) => Some(command),
            _ => None,
        }
    }

    #[test]
    fn a_decision_is_about_a_row_a_key_or_all_and_about_one_of_these() {
        let target = |arguments: &[&str]| match parse(arguments)? {
            Quarantine::Skip(wanted) => Some(format!("{:?}", wanted.rows.target())),
            _ => None,
        };
        assert_eq!(target(&["skip", "t", "--seq", "7"]).unwrap(), "Row(7)");
        assert_eq!(target(&["skip", "t", "--key", "Rental:1"]).unwrap(), "Key(\"Rental:1\")");
        assert_eq!(target(&["skip", "t", "--all"]).unwrap(), "All");
        for wrong in [&["skip", "t"][..], &["skip", "t", "--all", "--seq", "7"], &["skip", "--all"]]
        {
            assert!(parse(wrong).is_none(), "{wrong:?}");
        }
        assert!(parse(&["skip", "t", "--seq", "0"]).is_none());
    }

    #[test]
    fn a_wait_has_a_default_and_a_bound() {
        let wait = |arguments: &[&str]| match parse(arguments)? {
            Quarantine::Retry(wanted) => Some(wanted.wait),
            _ => None,
        };
        assert_eq!(wait(&["retry", "t", "--all"]), Some(None));
        assert_eq!(wait(&["retry", "t", "--wait", "--all"]), Some(Some(Duration::from_secs(30))));
        assert_eq!(wait(&["retry", "t", "--all", "--wait=2m"]), Some(Some(Duration::from_mins(2))));
        assert_eq!(wait(&["retry", "t", "--all", "--wait=61m"]), None);
        assert_eq!(wait(&["retry", "t", "--all", "--wait=5"]), None);
    }
}
