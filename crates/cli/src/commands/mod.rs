//! The commands, one module each.

mod completion;
mod migrate;
mod status;
mod topics;

use dionysus_service::Report;

use crate::args::{Args, Command, MigrateCommand, Topics};
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
        Command::Topics(Topics::List { json }) => topics::list(&settings()?, *json).await,
        Command::Topics(Topics::Create(wanted)) => topics::create(&settings()?, wanted).await,
        Command::Status { json } => status::run(&settings()?, *json).await,
    }
}
