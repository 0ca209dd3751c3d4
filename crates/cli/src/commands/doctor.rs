//! `dionysus doctor`: everything that can be seen to be wrong, at once, each with what to do.

mod database;
mod finding;
mod new_timeline;
mod topics;

use dionysus_service::{Exit, Report};
use serde_json::json;

use crate::args::Doctor;
use crate::output;
use crate::settings::Settings;
use crate::table::Table;
use finding::{Finding, State};

pub(super) async fn run(settings: &Settings, wanted: &Doctor) -> Result<(), Report> {
    if wanted.new_timeline {
        return new_timeline::run(settings, wanted.json).await;
    }
    let pool = settings.database().await?;
    let mut findings = Vec::new();
    // Without the schema there is nothing to look at.
    if database::look(&pool, &settings.retention, &mut findings).await {
        topics::look(settings, &pool, &mut findings).await?;
    }
    if wanted.json {
        output::print_json(&json!({
            "healthy": findings.iter().all(|finding| finding.state != State::Fault),
            "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
        }))?;
    } else {
        output::print(&text(&findings))?;
    }
    match findings.iter().filter(|finding| finding.state == State::Fault).count() {
        0 => Ok(()),
        1 => Err(Report::new(Exit::Failure, "1 thing is wrong")),
        faults => Err(Report::new(Exit::Failure, format!("{faults} things are wrong"))),
    }
}

fn text(findings: &[Finding]) -> String {
    let mut table = Table::new(["check", "state", "what"]);
    for finding in findings {
        table.row([finding.check.into(), finding.state.shown().into(), finding.what.clone()]);
    }
    let remedies = findings.iter().filter_map(|finding| {
        let remedy = finding.remedy.as_ref()?;
        Some(format!("\n{}: {}\n  remedy: {remedy}\n", finding.check, finding.what))
    });
    format!("{table}{}", remedies.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_stand_below_the_table() {
        let findings = [
            Finding::ok("schema", "version 4"),
            Finding::fault("lanes", "no relay runs").remedy("start `outbox-relay`"),
        ];
        assert_eq!(
            text(&findings),
            "\
CHECK   STATE  WHAT
schema  ok     version 4
lanes   FAULT  no relay runs

lanes: no relay runs
  remedy: start `outbox-relay`
"
        );
    }
}
