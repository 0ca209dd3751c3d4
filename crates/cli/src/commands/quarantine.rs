//! `dionysus quarantine`: what Kafka does not take, and what becomes of it.

mod asking;
mod decide;
mod outcome;
mod show;

use dionysus_postgres::quarantine::Request;
use dionysus_service::Report;

use crate::args::Quarantine;
use crate::settings::Settings;

pub(super) async fn run(settings: &Settings, wanted: &Quarantine) -> Result<(), Report> {
    match wanted {
        Quarantine::List(wanted) => show::list(settings, wanted).await,
        Quarantine::Show(wanted) => show::one(settings, wanted).await,
        Quarantine::Retry(wanted) => decide::run(settings, Request::Retry, wanted).await,
        Quarantine::Skip(wanted) => decide::run(settings, Request::Skip, wanted).await,
        Quarantine::Drop(wanted) => decide::run(settings, Request::Drop, wanted).await,
    }
}

/// `1 row`, `7 rows`.
fn rows(count: i64) -> String {
    if count == 1 { "1 row".into() } else { format!("{count} rows") }
}
