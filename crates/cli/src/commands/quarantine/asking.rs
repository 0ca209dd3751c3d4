//! Saying what a decision comes to, and asking before it is final.

use std::io::{BufRead, IsTerminal as _, Write as _};

use dionysus_postgres::quarantine::{Outlook, Request};
use dionysus_service::{Exit, Report};

use super::rows;

/// What will happen, to how many rows.
pub(super) fn told(topic: &str, request: Request, outlook: &Outlook) -> String {
    let named = format!("{} of {topic}", rows(outlook.rows));
    let behind = rows(outlook.behind);
    let and = if outlook.behind == 1 { "waits" } else { "wait" };
    match (request, outlook.behind) {
        (Request::Retry, _) => {
            let follow = match outlook.behind {
                0 => String::new(),
                1 => format!("; {behind} that waits behind follows if it is taken"),
                _ => format!("; {behind} that wait behind follow if it is taken"),
            };
            format!("{named} will be tried again{}{follow}", held_up(outlook.held_up))
        }
        (Request::Skip, 0) => format!("{named} will never be published"),
        (Request::Skip, _) => {
            let go = if outlook.behind == 1 { "goes" } else { "go" };
            format!("{named} will never be published; {behind} that {and} behind {go} on")
        }
        (Request::Drop, 0) => format!("{named} will never be published; none waits behind"),
        (Request::Drop, _) => {
            format!("{named} and {behind} that {and} behind will never be published")
        }
    }
}

fn held_up(rows: i64) -> String {
    match rows {
        0 => String::new(),
        1 => ", one of them after the earlier rows of its key".into(),
        more => format!(", {more} of them after the earlier rows of their keys"),
    }
}

/// Asks on a terminal; elsewhere nobody can answer, so nothing is done.
pub(super) fn agreed(told: &str, request: Request, json: bool) -> Result<(), Report> {
    let stdin = std::io::stdin();
    let may_ask = stdin.is_terminal() && std::io::stderr().is_terminal() && !json;
    let agreed = may_ask && {
        // The question is no result.
        drop(write!(std::io::stderr().lock(), "{told}\nGo on? [y/N] "));
        is_yes(stdin.lock())
    };
    if agreed {
        return Ok(());
    }
    let why = if may_ask {
        "nothing was changed".to_owned()
    } else {
        format!("nothing was changed: {told}")
    };
    let report = Report::new(Exit::Failure, why);
    Err(report.remedy(format!("to {} without being asked, add --yes", request.as_str())))
}

fn is_yes(mut input: impl BufRead) -> bool {
    let mut answer = String::new();
    input.read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(rows: i64, behind: i64, held_up: i64) -> Outlook {
        Outlook { rows, behind, held_up, owner: None }
    }

    #[test]
    fn each_decision_says_what_becomes_of_its_rows_and_of_those_behind() {
        for (request, outlook, expected) in [
            (Request::Retry, outlook(1, 0, 0), "1 row of t will be tried again"),
            (
                Request::Retry,
                outlook(3, 2, 1),
                "3 rows of t will be tried again, one of them after the earlier rows of its key; 2 rows that wait behind follow if it is taken",
            ),
            (
                Request::Skip,
                outlook(1, 1, 0),
                "1 row of t will never be published; 1 row that waits behind goes on",
            ),
            (Request::Skip, outlook(2, 0, 0), "2 rows of t will never be published"),
            (
                Request::Drop,
                outlook(1, 4, 0),
                "1 row of t and 4 rows that wait behind will never be published",
            ),
            (
                Request::Drop,
                outlook(2, 0, 0),
                "2 rows of t will never be published; none waits behind",
            ),
        ] {
            assert_eq!(told("t", request, &outlook), expected);
        }
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, expected) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("no\n", false)]
        {
            assert_eq!(is_yes(answer.as_bytes()), expected, "{answer:?}");
        }
    }
}
