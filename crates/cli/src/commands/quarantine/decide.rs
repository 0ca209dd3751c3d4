//! `quarantine retry`, `skip` and `drop`: a request that the lane's owner executes.

use dionysus_postgres::quarantine::{self, Outlook, Request, Target};
use dionysus_service::{Exit, Report};
use serde_json::json;
use sqlx::PgPool;

use super::asking::{agreed, told};
use super::outcome::{self, Asked};
use crate::args::Decide;
use crate::settings::Settings;
use crate::{output, reports};

pub(super) async fn run(
    settings: &Settings,
    request: Request,
    wanted: &Decide,
) -> Result<(), Report> {
    let Decide { topic, yes, wait, json, .. } = wanted;
    let pool = settings.migrated_database().await?;
    let target = wanted.rows.target();
    let outlook = quarantine::outlook(&pool, topic, target).await.map_err(reports::postgres)?;
    if outlook.rows == 0 {
        return Err(nothing(topic, target));
    }
    let told = told(topic, request, &outlook);
    if request != Request::Retry && !yes {
        agreed(&told, request, *json)?;
    }
    let asked = ask(&pool, topic, target, request, outlook).await?;
    match wait {
        Some(limit) => outcome::wait(&pool, &asked, *limit, *json).await,
        None if *json => output::print_json(&asked.json(None)),
        None => output::print(&format!("asked: {told}\n{}\n", executor(&asked))),
    }
}

async fn ask<'a>(
    pool: &PgPool,
    topic: &'a str,
    target: Target<'_>,
    request: Request,
    outlook: Outlook,
) -> Result<Asked<'a>, Report> {
    let seqs =
        quarantine::request(pool, topic, target, request).await.map_err(reports::postgres)?;
    // Somebody may have been faster than we asked.
    if seqs.is_empty() {
        return Err(nothing(topic, target));
    }
    Ok(Asked { topic, request, seqs, outlook })
}

fn executor(asked: &Asked<'_>) -> String {
    match &asked.outlook.owner {
        Some(owner) => format!(
            "the relay `{owner}` owns the lane and does it within seconds: see `dionysus quarantine list --topic {}`, or add --wait",
            asked.topic
        ),
        None => "no relay owns the lane now: it is done when one does; start `outbox-relay`".into(),
    }
}

fn nothing(topic: &str, target: Target<'_>) -> Report {
    let what = match target {
        Target::Row(seq) => format!("row {seq} of {topic} is not in quarantine"),
        Target::Key(key) => format!("no row of {topic} with the key `{key}` is in quarantine"),
        Target::All => format!("no row of {topic} is in quarantine"),
    };
    Report::new(Exit::Failure, what)
        .remedy(format!("see `dionysus quarantine list --topic {topic} --behind`"))
}

impl Asked<'_> {
    /// `done`: whether the owner has executed it, if that is known.
    pub(super) fn json(&self, done: Option<bool>) -> serde_json::Value {
        json!({
            "topic": self.topic,
            "request": self.request.as_str(),
            "rows": self.seqs,
            "behind": self.outlook.behind,
            "owner": self.outlook.owner,
            "done": done,
        })
    }
}
