//! The commands, one module each.

mod capture;
mod completion;
mod contract;
mod doctor;
mod migrate;
mod quarantine;
mod retire;
mod status;
mod topics;

use dionysus_service::Report;

use crate::args::{Args, Capture, Command, MigrateCommand, TopicsCommand};
use crate::settings::Settings;

pub(crate) async fn run(args: Args) -> Result<(), Report> {
    let settings = || Settings::load(&args.common);
    match &args.command {
        Command::Completion { shell } => completion::print(*shell),
        Command::Migrate(migrate) => match migrate.what {
            Some(MigrateCommand::Status { json }) => migrate::status(&settings()?, json).await,
            None if migrate.dry_run => migrate::dry_run(&settings()?).await,
            None => migrate::run(&settings()?).await,
        },
        Command::Topics(topics) => match &topics.what {
            None => contract::print(&settings()?, &topics.contract).await,
            Some(TopicsCommand::List { json }) => topics::list(&settings()?, *json).await,
            Some(TopicsCommand::Create(wanted)) => topics::create(&settings()?, wanted).await,
            Some(TopicsCommand::Retire(wanted)) => retire::run(&settings()?, wanted).await,
            Some(TopicsCommand::Diff(wanted)) => contract::diff(settings, wanted).await,
        },
        Command::Capture(Capture::Sql(wanted)) => capture::sql(&settings()?, wanted).await,
        Command::Quarantine(wanted) => quarantine::run(&settings()?, wanted).await,
        Command::Doctor(wanted) => doctor::run(&settings()?, wanted).await,
        Command::Status { json } => status::run(&settings()?, *json).await,
    }
}
