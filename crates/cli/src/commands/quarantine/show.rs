//! `quarantine list` and `show`.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use dionysus_postgres::quarantine::{self, Contents, Entry, Target};
use dionysus_service::{Exit, Report};
use serde_json::{Value, json};

use super::rows;
use crate::args::{ListRows, ShowRow};
use crate::settings::Settings;
use crate::table::Table;
use crate::{output, reports};

/// What stands for the cause of a row that has none.
const WAITS: &str = "waits behind a refused row of its key";

/// How much of a cause a table shows; `show` has all of it.
const CAUSE_SHOWN: usize = 100;

pub(super) async fn list(settings: &Settings, wanted: &ListRows) -> Result<(), Report> {
    let pool = settings.migrated_database().await?;
    let (topic, limit) = (wanted.topic.as_deref(), i64::from(wanted.limit));
    // One more tells that there are more.
    let mut found = quarantine::list(&pool, topic, wanted.behind, limit + 1)
        .await
        .map_err(reports::postgres)?;
    if let (Some(topic), true) = (topic, found.is_empty()) {
        // A topic that is misspelt must not look like one without faults.
        quarantine::outlook(&pool, topic, Target::All).await.map_err(reports::postgres)?;
    }
    let wanted_rows = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let more = found.len() > wanted_rows;
    found.truncate(wanted_rows);
    if wanted.json {
        let rows: Vec<Value> = found.iter().map(entry_json).collect();
        return output::print_json(&json!({ "rows": rows, "more": more }));
    }
    output::print(&text(&found, more))
}

pub(super) async fn one(settings: &Settings, wanted: &ShowRow) -> Result<(), Report> {
    let ShowRow { topic, seq, payload, json } = wanted;
    let pool = settings.migrated_database().await?;
    let entry = quarantine::show(&pool, topic, *seq).await.map_err(reports::postgres)?;
    let Some(entry) = entry else {
        quarantine::outlook(&pool, topic, Target::Row(*seq)).await.map_err(reports::postgres)?;
        return Err(gone(topic, *seq));
    };
    let contents = if *payload {
        let contents = quarantine::contents(&pool, topic, *seq).await.map_err(reports::postgres)?;
        Some(contents.ok_or_else(|| gone(topic, *seq))?)
    } else {
        None
    };
    if *json {
        let mut shown = entry_json(&entry);
        if let Some(contents) = &contents {
            shown["contents"] = contents_json(contents);
        }
        return output::print_json(&shown);
    }
    let contents = contents.as_ref().map(contents_text).unwrap_or_default();
    output::print(&format!("{}{contents}", fields(&entry)))
}

fn gone(topic: &str, seq: i64) -> Report {
    Report::new(Exit::Failure, format!("row {seq} of {topic} is not in quarantine"))
        .remedy(format!("see `dionysus quarantine list --topic {topic} --behind`; a row that is gone was published or given up"))
}

fn text(entries: &[Entry], more: bool) -> String {
    if entries.is_empty() {
        return "nothing is in quarantine\n".into();
    }
    let mut table =
        Table::new(["topic", "seq", "key", "behind", "tries", "next try", "request", "cause"]);
    for entry in entries {
        table.row([
            entry.topic.clone(),
            entry.seq.to_string(),
            entry.key.clone(),
            entry.behind.to_string(),
            entry.attempts.to_string(),
            entry.retry_at.map_or_else(|| "-".into(), time),
            entry.request.clone().unwrap_or_else(|| "-".into()),
            entry.cause.as_deref().map_or_else(|| WAITS.into(), shortened),
        ]);
    }
    let more = if more { "there are more: raise --limit, or name a --topic\n" } else { "" };
    format!("{table}{more}")
}

/// One line: what a broker or an encoder says may be long.
fn shortened(cause: &str) -> String {
    let line = cause.replace(['\n', '\r'], " ");
    if line.chars().count() <= CAUSE_SHOWN {
        return line;
    }
    line.chars().take(CAUSE_SHOWN).chain("..".chars()).collect()
}

fn fields(entry: &Entry) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let lines = [
        ("topic", entry.topic.clone()),
        ("seq", entry.seq.to_string()),
        ("key", entry.key.clone()),
        ("event", entry.event.clone()),
        ("model", entry.model.clone()),
        ("event id", entry.event_id.to_string()),
        ("bytes", entry.bytes.to_string()),
        ("behind it", rows(entry.behind)),
        ("appended", time(entry.created_at)),
        ("set aside", time(entry.quarantined_at)),
        ("cause", entry.cause.clone().unwrap_or_else(|| WAITS.into())),
        ("tries", entry.attempts.to_string()),
        ("next try", or_dash(entry.retry_at.map(time))),
        ("request", or_dash(entry.request.clone())),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a String can't fail.
        writeln!(text, "{name:<9}  {value}").ok();
    }
    text
}

fn contents_text(contents: &Contents) -> String {
    let shown = match contents {
        Contents { capture: Some(capture), .. } => format!("captured\n{capture:#}\n"),
        Contents { payload: Some(payload), .. } => match std::str::from_utf8(payload) {
            Ok(text) => format!("payload\n{text}\n"),
            Err(_) => format!("payload, in hex\n{}\n", hex(payload)),
        },
        _ => "payload\nnone: a tombstone\n".into(),
    };
    let headers =
        contents.headers.as_ref().map_or_else(String::new, |it| format!("\nheaders\n{it:#}\n"));
    format!("\n{shown}{headers}")
}

fn contents_json(contents: &Contents) -> Value {
    let text = contents.payload.as_ref().map(|bytes| std::str::from_utf8(bytes));
    json!({
        "payload": text.and_then(Result::ok),
        "payload_hex": contents.payload.as_ref().filter(|_| matches!(text, Some(Err(_)))).map(|it| hex(it)),
        "captured": contents.capture,
        "headers": contents.headers,
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").ok();
    }
    text
}

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "topic": entry.topic,
        "seq": entry.seq,
        "key": entry.key,
        "event": entry.event,
        "model": entry.model,
        "event_id": entry.event_id.to_string(),
        "bytes": entry.bytes,
        "behind": entry.behind,
        "cause": entry.cause,
        "tries": entry.attempts,
        "next_try": entry.retry_at.map(time),
        "request": entry.request,
        "appended_at": time(entry.created_at),
        "quarantined_at": time(entry.quarantined_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: i64, cause: Option<&str>) -> Entry {
        Entry {
            topic: "v3_rentals".into(),
            seq,
            key: "Rental:1".into(),
            event: "rental_updated".into(),
            model: "Rental".into(),
            event_id: uuid::Uuid::nil(),
            bytes: 4_096,
            cause: cause.map(str::to_owned),
            attempts: 2,
            retry_at: cause.map(|_| DateTime::UNIX_EPOCH),
            behind: 1,
            request: None,
            created_at: DateTime::UNIX_EPOCH,
            quarantined_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn refused_rows_show_their_cause_and_those_behind_that_they_wait() {
        let refused = Entry { request: Some("retry".into()), ..entry(12, Some("too\nlarge")) };
        let behind = Entry { behind: 0, attempts: 0, ..entry(13, None) };
        assert_eq!(
            text(&[refused, behind], true),
            "\
TOPIC       SEQ  KEY       BEHIND  TRIES  NEXT TRY              REQUEST  CAUSE
v3_rentals  12   Rental:1  1       2      1970-01-01T00:00:00Z  retry    too large
v3_rentals  13   Rental:1  0       0      -                     -        waits behind a refused row of its key
there are more: raise --limit, or name a --topic
"
        );
        assert_eq!(text(&[], false), "nothing is in quarantine\n");
    }

    #[test]
    fn a_long_cause_is_cut_in_the_table_and_whole_in_its_row() {
        let cause = "é".repeat(200);
        assert_eq!(shortened(&cause).chars().count(), CAUSE_SHOWN + 2);
        assert!(fields(&entry(1, Some(&cause))).contains(&cause));
    }

    #[test]
    fn contents_are_text_where_they_can_be() {
        let payload = |bytes: &[u8]| Contents {
            payload: Some(bytes.to_vec()),
            headers: Some(json!({ "a": "b" })),
            capture: None,
        };
        let nothing = Contents { payload: None, headers: None, capture: None };
        assert_eq!(
            contents_text(&payload(b"{}")),
            "\npayload\n{}\n\nheaders\n{\n  \"a\": \"b\"\n}\n"
        );
        assert!(contents_text(&payload(b"\xff\x01")).starts_with("\npayload, in hex\nff01\n"));
        assert_eq!(contents_text(&nothing), "\npayload\nnone: a tombstone\n");
        assert_eq!(contents_json(&payload(b"\xff"))["payload_hex"], "ff");
        assert_eq!(contents_json(&payload(b"{}"))["payload"], "{}");
        let captured = Contents { capture: Some(json!({ "id": "1" })), ..nothing };
        assert!(contents_text(&captured).starts_with("\ncaptured\n{"));
    }
}
