//! What came of a request.

use std::time::Duration;

use dionysus_postgres::quarantine::{self, Left, Outlook, Request};
use dionysus_service::{Exit, Report, duration};
use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;

use super::rows;
use super::show::time;
use crate::table::Table;
use crate::{output, reports};

/// Between two looks: the owner looks once a second.
const PAUSE: Duration = Duration::from_millis(200);

/// A request that was written down.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) topic: &'a str,
    pub(super) request: Request,
    pub(super) seqs: Vec<i64>,
    /// What it was expected to be about.
    pub(super) outlook: Outlook,
}

/// What is known of a request's rows that are still there.
#[derive(Debug, Default, PartialEq)]
struct Standing {
    /// The owner has not come to them yet.
    pending: Vec<Left>,
    /// Tried, and refused again.
    refused: Vec<Left>,
    /// To be tried after an earlier row of their key, which was refused and about which nobody asks.
    held_up: Vec<Left>,
}

/// Looks until the owner has executed the request, for `limit` at most, and tells what came of it.
pub(super) async fn wait(
    pool: &PgPool,
    asked: &Asked<'_>,
    limit: Duration,
    json: bool,
) -> Result<(), Report> {
    let deadline = Instant::now() + limit;
    let standing = loop {
        let left = quarantine::left(pool, asked.topic, &asked.seqs).await;
        let standing = Standing::of(left.map_err(reports::postgres)?);
        if standing.pending.is_empty() || Instant::now() >= deadline {
            break standing;
        }
        tokio::time::sleep(PAUSE).await;
    };
    if json {
        let mut shown = asked.json(Some(standing.pending.is_empty()));
        let seqs = |rows: &[Left]| {
            json!(
                rows.iter()
                    .map(|row| json!({ "seq": row.seq, "tries": row.attempts, "cause": row.cause }))
                    .collect::<Vec<_>>()
            )
        };
        shown["gone"] = json!(standing.gone(asked));
        shown["pending"] = seqs(&standing.pending);
        shown["refused"] = seqs(&standing.refused);
        shown["held_up"] = seqs(&standing.held_up);
        output::print_json(&shown)?;
    } else {
        output::print(&standing.text(asked))?;
    }
    standing.judge(asked, limit)
}

impl Standing {
    fn of(left: Vec<Left>) -> Self {
        let mut standing = Self::default();
        for row in left {
            match (row.request.as_deref(), row.behind) {
                (None, _) => standing.refused.push(row),
                (Some("retry"), Some(_)) => standing.held_up.push(row),
                (Some(_), _) => standing.pending.push(row),
            }
        }
        standing
    }

    /// Rows that were published, or given up.
    fn gone(&self, asked: &Asked<'_>) -> Vec<i64> {
        let there = || [&self.pending, &self.refused, &self.held_up].into_iter().flatten();
        let is_gone = |seq: &i64| !there().any(|row| row.seq == *seq);
        asked.seqs.iter().copied().filter(is_gone).collect()
    }

    fn text(&self, asked: &Asked<'_>) -> String {
        let gone = i64::try_from(self.gone(asked).len()).unwrap_or(i64::MAX);
        let mut text = match asked.request {
            _ if gone == 0 => String::new(),
            Request::Retry => {
                let were = if gone == 1 { "was" } else { "were" };
                format!("{} of {} {were} published\n", rows(gone), asked.topic)
            }
            Request::Skip => format!("{} of {} will never be published\n", rows(gone), asked.topic),
            Request::Drop => format!(
                "{} of {}, and what waited behind, will never be published\n",
                rows(gone),
                asked.topic
            ),
        };
        if !self.refused.is_empty() || !self.held_up.is_empty() {
            let mut table = Table::new(["seq", "tries", "next try", "cause"]);
            for row in &self.refused {
                let cause = row.cause.clone().unwrap_or_default();
                let next = row.retry_at.map_or_else(|| "-".into(), time);
                table.row([row.seq.to_string(), row.attempts.to_string(), next, cause]);
            }
            for row in &self.held_up {
                let behind = row.behind.unwrap_or_default();
                let cause = format!("waits behind row {behind} of its key");
                table.row([row.seq.to_string(), row.attempts.to_string(), "-".into(), cause]);
            }
            text.push_str(&table.to_string());
        }
        text
    }

    fn judge(&self, asked: &Asked<'_>, limit: Duration) -> Result<(), Report> {
        let count = |rows: &[Left]| i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let list = format!("`dionysus quarantine list --topic {}`", asked.topic);
        if !self.pending.is_empty() {
            let pending = rows(count(&self.pending));
            let not_done = format!("not done within {}: {pending} left", duration::format(limit));
            let remedy = match &asked.outlook.owner {
                Some(owner) => format!(
                    "the request stays; see {list}, and the log and /readyz of the relay `{owner}`"
                ),
                None => "the request stays: start `outbox-relay`, which executes it".into(),
            };
            return Err(Report::new(Exit::Failure, not_done).remedy(remedy));
        }
        match (count(&self.refused), count(&self.held_up)) {
            (0, 0) => Ok(()),
            (0, held_up) => Err(Report::new(
                Exit::Failure,
                format!("{} not tried, behind other rows of the same key", rows(held_up)),
            )
            .remedy("retry, skip or drop the row that was refused first")),
            (refused, _) => {
                Err(Report::new(Exit::Failure, format!("{} refused again", rows(refused)))
                    .remedy("mend the cause and `retry`, or `skip`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(seq: i64, request: Option<&str>, behind: Option<i64>) -> Left {
        Left {
            seq,
            request: request.map(str::to_owned),
            cause: Some("too large".into()),
            attempts: 1,
            retry_at: None,
            behind,
        }
    }

    fn asked(request: Request, seqs: &[i64]) -> Asked<'static> {
        Asked { topic: "t", request, seqs: seqs.to_vec(), outlook: Outlook::default() }
    }

    #[test]
    fn what_is_gone_was_published_or_given_up() {
        let standing = Standing::of(vec![]);
        let retried = asked(Request::Retry, &[1, 2]);
        assert_eq!(standing.text(&retried), "2 rows of t were published\n");
        assert!(standing.judge(&retried, Duration::ZERO).is_ok());
        let dropped = standing.text(&asked(Request::Drop, &[1]));
        assert_eq!(dropped, "1 row of t, and what waited behind, will never be published\n");
    }

    #[test]
    fn what_was_refused_again_is_told_with_its_cause() {
        let standing = Standing::of(vec![left(2, None, None), left(3, Some("retry"), Some(2))]);
        let retried = asked(Request::Retry, &[1, 2, 3]);
        assert_eq!(
            standing.text(&retried),
            "\
1 row of t was published
SEQ  TRIES  NEXT TRY  CAUSE
2    1      -         too large
3    1      -         waits behind row 2 of its key
"
        );
        let report = standing.judge(&retried, Duration::ZERO).unwrap_err().to_string();
        assert!(report.starts_with("error: 1 row refused again\n  remedy: mend"), "{report}");
    }

    #[test]
    fn what_is_not_done_in_time_says_who_would_do_it() {
        let standing = Standing::of(vec![left(2, Some("skip"), Some(1))]);
        let skipped = asked(Request::Skip, &[2]);
        let report = standing.judge(&skipped, Duration::from_secs(30)).unwrap_err().to_string();
        assert_eq!(
            report,
            "error: not done within 30s: 1 row left\n  remedy: the request stays: start `outbox-relay`, which executes it"
        );
    }
}
