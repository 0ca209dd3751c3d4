//! What can be typed.

mod quarantine;

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use dionysus_service::{Common, EXIT_CODES};

pub(crate) use quarantine::{Decide, ListRows, Quarantine, ShowRow};

const LONG_ABOUT: &str = "Transactional outbox for Postgres and Kafka: schema, topics, state.

The database is named by DATABASE_URL, the brokers by KAFKA_BROKERS, or both by a configuration file with the sections [database] and \
[kafka].";

/// Transactional outbox for Postgres and Kafka: schema, topics, state.
#[derive(Debug, Parser)]
#[command(name = "dionysus", version, long_about = LONG_ABOUT, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install the schema `dionysus`, or bring it up to date
    #[command(after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
    Migrate(Migrate),
    /// Show or create the Kafka topics that applications have registered; tell what they carry, and what changed
    #[command(after_help = EXIT_CODES, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Topics(Topics),
    /// Capture by trigger: writes of any program, psql included, become events
    #[command(subcommand, after_help = EXIT_CODES)]
    Capture(Capture),
    /// See and decide what becomes of rows that Kafka does not take
    ///
    /// A row that can't be published is set aside with its cause, and the later rows of its key behind it; everything else flows. What is
    /// decided here is written down, and the relay that owns the lane executes it within seconds.
    #[command(subcommand, after_help = EXIT_CODES)]
    Quarantine(Quarantine),
    /// Show lanes (who carries a topic to Kafka, how far, what waits, what is in quarantine) and relays
    #[command(after_help = EXIT_CODES)]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Look for what is wrong: schema, rights, the server's history, topics, lanes, retention; exit 1 if something is
    #[command(after_help = EXIT_CODES)]
    Doctor(Doctor),
    /// Print a completion script, e.g. `dionysus completion bash > /etc/bash_completion.d/dionysus`
    Completion {
        /// For which shell
        shell: Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Doctor {
    /// After a restore or a failover of Postgres: go on with this server. Numbers restart above everything that Kafka has seen, rows that no
    /// relay has published get new ones, and producers wait meanwhile. Name the brokers as well, so that it can be seen what Kafka has
    #[arg(long)]
    pub(crate) new_timeline: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Migrate {
    /// Change nothing: print the SQL that would run, also for migration tools of your own
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(subcommand)]
    pub(crate) what: Option<MigrateCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Show which migrations the database has; exit 3 if this program cannot work with them
    #[command(after_help = EXIT_CODES)]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Topics {
    #[command(flatten)]
    pub(crate) contract: Contract,
    #[command(subcommand)]
    pub(crate) what: Option<TopicsCommand>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Contract {
    /// Print one AsyncAPI 3.0 document, as JSON, of what the registered topics carry. Needs no Kafka; where brokers are configured, it
    /// also tells the numbers of partitions
    #[arg(long)]
    pub(crate) asyncapi: bool,
    /// Only of this topic; may be given several times
    #[arg(long = "topic", value_name = "TOPIC", requires = "asyncapi")]
    pub(crate) topics: Vec<String>,
    /// Write the document to a file
    #[arg(long, value_name = "FILE", requires = "asyncapi")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Show the registered topics, their genesis twins, and whether Kafka has them
    #[command(after_help = EXIT_CODES)]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Create the registered topics, and their genesis twins (compacted), that Kafka lacks; leave the others as they are
    #[command(after_help = EXIT_CODES)]
    Create(CreateTopics),
    /// End a topic: nothing of it is published any more, and its lane holds no retention. Kafka's topic stays
    #[command(after_help = EXIT_CODES)]
    Retire(RetireTopic),
    /// Name what changed between two documents of `--asyncapi`; exit 1 if a consumer that was right about the old one can trip over the new one
    #[command(after_help = DIFF_EXIT_CODES)]
    Diff(DiffContracts),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RetireTopic {
    /// The topic. Stop the applications that declare it first: one that starts again registers it anew, and its lane begins with the oldest
    /// row that is retained
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Do it. Without this flag it is only told what would be lost
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Those of a comparison, where 1 has a meaning that scripts rest on.
const DIFF_EXIT_CODES: &str = "\
Exit codes:
  0    nothing that breaks a consumer
  1    a breaking change
  2    wrong usage or configuration, or a document that cannot be read
  3    the schema is missing, too old or too new
  4    Postgres or Kafka cannot be reached";

#[derive(Debug, ClapArgs)]
pub(crate) struct DiffContracts {
    /// A file, `-` for the standard input, or `database` for what is registered now
    #[arg(value_name = "OLD")]
    pub(crate) old: ContractSource,
    /// The same
    #[arg(value_name = "NEW")]
    pub(crate) new: ContractSource,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a document comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ContractSource {
    /// What is registered.
    Database,
    /// The standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl FromStr for ContractSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "database" => Self::Database,
            "-" => Self::Stdin,
            file => Self::File(file.into()),
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Capture {
    /// Print the SQL that installs capture of a registered topic, for you to review and run; changes nothing itself
    ///
    /// It makes a function and a trigger for each model. From then on every committed change of a row, whoever made it, is an event in the outbox,
    /// the same that the application would state: run it as a role that may write the outbox, e.g.
    /// `dionysus capture sql --topic v3_rentals | psql -v ON_ERROR_STOP=1 "$DATABASE_URL"`. An application that publishes the same model by
    /// itself connects with `options=-c dionysus.capture=off`, or its changes come twice.
    #[command(after_help = EXIT_CODES)]
    Sql(CaptureSql),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CaptureSql {
    /// The topic, with its namespace: `v3_rentals`
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: String,
    /// Only this model of the topic
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Print what removes it again
    #[arg(long)]
    pub(crate) drop: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CreateTopics {
    /// Partitions of each new topic; a twin gets as many as its topic. Choose well: with another number, instances move to other
    /// partitions and their order is lost at that moment [default: the brokers' `num.partitions`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) partitions: Option<u32>,
    /// Replicas of each partition [default: the brokers' `default.replication.factor`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) replication: Option<u32>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn migrate_takes_a_dry_run_or_a_question() {
        assert!(Args::try_parse_from(["dionysus", "migrate", "--dry-run"]).is_ok());
        assert!(Args::try_parse_from(["dionysus", "migrate", "status", "--json"]).is_ok());
        assert!(Args::try_parse_from(["dionysus", "migrate", "--dry-run", "status"]).is_err());
    }

    #[test]
    fn topics_takes_a_document_or_a_command() {
        let parse = |arguments: &[&str]| {
            Args::try_parse_from(["dionysus", "topics"].iter().chain(arguments)).is_ok()
        };
        assert!(parse(&["--asyncapi", "--topic", "a", "--topic", "b", "--out", "x.json"]));
        assert!(parse(&["list"]) && parse(&["diff", "-", "database", "--json"]));
        assert!(!parse(&[]) && !parse(&["--topic", "a"]) && !parse(&["--asyncapi", "list"]));
    }
}
