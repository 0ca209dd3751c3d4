//! What can be typed.

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use dionysus_service::{Common, EXIT_CODES};

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
    /// Show or create the Kafka topics that applications have registered
    #[command(subcommand, after_help = EXIT_CODES)]
    Topics(Topics),
    /// Show lanes (who carries a topic to Kafka, how far, what waits) and relays
    #[command(after_help = EXIT_CODES)]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script, e.g. `dionysus completion bash > /etc/bash_completion.d/dionysus`
    Completion {
        /// For which shell
        shell: Shell,
    },
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

#[derive(Debug, Subcommand)]
pub(crate) enum Topics {
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
}
