//! `dionysus capture`: triggers in place of an application that states its events.

use dionysus_postgres::capture;
use dionysus_service::Report;

use crate::args::CaptureSql;
use crate::settings::Settings;
use crate::{output, reports};

pub(super) async fn sql(settings: &Settings, wanted: &CaptureSql) -> Result<(), Report> {
    let pool = settings.migrated_database().await?;
    let (topic, model) = (&wanted.topic, wanted.model.as_deref());
    let sql = if wanted.drop {
        capture::remove(&pool, topic, model).await
    } else {
        capture::install(&pool, topic, model).await
    };
    output::print(&sql.map_err(reports::postgres)?)
}
