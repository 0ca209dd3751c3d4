//! `dionysus quarantine`: what it shows, what it asks for, and what it waits for.

use std::time::Duration;

use dionysus_embedded::testing::{self, Database};
use dionysus_postgres::{lanes, quarantine, relays};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{command, dionysus, register, stderr, stdout};

/// Two refused rows, 11 with 13 behind it, and 12.
async fn scene() -> Database {
    let database = testing::database().await;
    stdout(&dionysus(&["migrate"], &url(&database)));
    register(&database, "v3_rentals").await;
    sqlx::query(
        "insert into dionysus.quarantine
             (topic, seq, key, cause, attempts, retry_at, created_at, event_id, event, model, model_id, payload, headers)
         select 'v3_rentals', seq, 'Rental:' || id, cause, 1, '2030-01-01T00:00:00Z', '2024-01-01', gen_random_uuid(),
                'rental_updated', 'Rental', id, '{\"secret\": 1}', '{\"traceparent\": \"00-1\"}'
         from (values (11, '1', 'too large'), (12, '2', 'too large'), (13, '1', null)) as r (seq, id, cause)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    database
}

fn url(database: &Database) -> [(&str, &str); 1] {
    [("DATABASE_URL", database.url.as_str())]
}

async fn requests(pool: &PgPool) -> Vec<(i64, Option<String>)> {
    sqlx::query_as("select seq, request from dionysus.quarantine order by seq")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Waits until somebody has asked about a row.
async fn asked(pool: &PgPool, seq: i64) {
    while !requests(pool).await.iter().any(|(row, request)| *row == seq && request.is_some()) {
        tokio::task::yield_now().await;
    }
}

/// A relay that owns the lane.
async fn owner(pool: &PgPool) -> Uuid {
    let relay = Uuid::new_v4();
    relays::join(pool, relay, "host-1", Duration::from_mins(10)).await.unwrap();
    assert_eq!(lanes::claim(pool, relay, 1, &[]).await.unwrap().len(), 1);
    relay
}

#[tokio::test]
async fn refused_rows_are_listed_with_their_cause_and_payloads_only_when_asked_for() {
    let database = scene().await;
    let url = url(&database);
    let listed = stdout(&dionysus(&["quarantine", "list"], &url));
    assert_eq!(
        listed,
        "\
TOPIC       SEQ  KEY       BEHIND  TRIES  NEXT TRY              REQUEST  CAUSE
v3_rentals  11   Rental:1  1       1      2030-01-01T00:00:00Z  -        too large
v3_rentals  12   Rental:2  0       1      2030-01-01T00:00:00Z  -        too large
"
    );
    let behind = stdout(&dionysus(&["quarantine", "list", "--behind", "--limit", "2"], &url));
    assert!(behind.ends_with("there are more: raise --limit, or name a --topic\n"), "{behind}");
    let all = super::json(&dionysus(&["quarantine", "list", "--behind", "--json"], &url));
    let seqs: Vec<_> =
        all["rows"].as_array().unwrap().iter().map(|row| row["seq"].as_i64().unwrap()).collect();
    assert_eq!((seqs, &all["more"]), (vec![11, 12, 13], &json!(false)));
    assert_eq!(all["rows"][2]["cause"], json!(null));

    let show = ["quarantine", "show", "v3_rentals", "11"];
    let shown = stdout(&dionysus(&show, &url));
    assert!(shown.contains("\ncause      too large\n") && !shown.contains("secret"), "{shown}");
    let payload = stdout(&dionysus(&[&show[..], &["--payload"]].concat(), &url));
    assert!(payload.contains("\npayload\n{\"secret\": 1}\n"), "{payload}");
    assert!(payload.contains("\"traceparent\": \"00-1\""), "{payload}");
    let both = super::json(&dionysus(&[&show[..], &["--payload", "--json"]].concat(), &url));
    assert_eq!(both["contents"]["payload"], "{\"secret\": 1}");
    let one = super::json(&dionysus(&[&show[..], &["--json"]].concat(), &url));
    assert!(one.get("contents").is_none() && one["bytes"] == 13, "{one}");

    let lanes = stdout(&dionysus(&["status"], &url));
    assert!(lanes.contains("\nv3_rentals  -      0      0        -       3  "), "{lanes}");
    let unknown = stderr(&dionysus(&["quarantine", "list", "--topic", "v3_rental"], &url), 1);
    assert!(unknown.contains("topic `v3_rental` is not registered"), "{unknown}");
    let gone = stderr(&dionysus(&["quarantine", "show", "v3_rentals", "99"], &url), 1);
    assert!(gone.starts_with("error: row 99 of v3_rentals is not in quarantine\n"), "{gone}");
}

#[tokio::test]
async fn what_is_final_is_not_done_without_a_yes_and_says_to_how_many_rows() {
    let database = scene().await;
    let (pool, url) = (&database.pool, url(&database));
    for (request, told) in [
        ("skip", "1 row of v3_rentals will never be published; 1 row that waits behind goes on"),
        ("drop", "1 row of v3_rentals and 1 row that waits behind will never be published"),
    ] {
        let decide = ["quarantine", request, "v3_rentals", "--key", "Rental:1"];
        let refused = stderr(&dionysus(&decide, &url), 1);
        assert_eq!(
            refused,
            format!(
                "error: nothing was changed: {told}\n  remedy: to {request} without being asked, add --yes\n"
            )
        );
        assert_eq!(requests(pool).await, [(11, None), (12, None), (13, None)]);
        let asked = stdout(&dionysus(&[&decide[..], &["--yes"]].concat(), &url));
        assert!(
            asked.starts_with(&format!("asked: {told}\nno relay owns the lane now")),
            "{asked}"
        );
        assert_eq!(requests(pool).await[0], (11, Some(request.to_owned())));
        sqlx::query("update dionysus.quarantine set request = null").execute(pool).await.unwrap();
    }

    // A retry is not final. Nor is it for the row behind, whose turn has not come.
    owner(pool).await;
    let retry = ["quarantine", "retry", "v3_rentals", "--all"];
    let asked = stdout(&dionysus(&retry, &url));
    assert_eq!(
        asked,
        "asked: 2 rows of v3_rentals will be tried again; 1 row that waits behind follows if it is taken\n\
         the relay `host-1` owns the lane and does it within seconds: see `dionysus quarantine list --topic v3_rentals`, or add --wait\n"
    );
    let shown = super::json(&dionysus(&[&retry[..], &["--json"]].concat(), &url));
    let expected = json!({
        "topic": "v3_rentals", "request": "retry", "rows": [11, 12], "behind": 1, "owner": "host-1", "done": null,
    });
    assert_eq!(shown, expected);
    let none = ["quarantine", "skip", "v3_rentals", "--key", "Rental:9", "--yes"];
    let none = stderr(&dionysus(&none, &url), 1);
    let told = "error: no row of v3_rentals with the key `Rental:9` is in quarantine\n";
    assert!(none.starts_with(told), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_what_came_of_it() {
    let database = scene().await;
    let (pool, environment) = (database.pool.clone(), url(&database));
    let decide = |arguments: &[&str]| {
        let arguments = [&["quarantine"], arguments].concat();
        let mut command = command(&arguments, &environment);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let skip = ["skip", "v3_rentals", "--seq", "12", "--yes", "--wait=1ms"];
    let late = stderr(&decide(&skip).await.unwrap(), 1);
    assert!(
        late.starts_with("error: not done within 1ms: 1 row left\n  remedy: the request stays: start `outbox-relay`"),
        "{late}"
    );

    // The owner comes while somebody waits.
    sqlx::query("update dionysus.quarantine set request = null").execute(&pool).await.unwrap();
    let waiting = decide(&["skip", "v3_rentals", "--seq", "12", "--yes", "--wait"]);
    let relay = owner(&pool).await;
    asked(&pool, 12).await;
    assert_eq!(quarantine::give_up(&pool, relay).await.unwrap(), 1);
    let done = stdout(&waiting.await.unwrap());
    assert_eq!(done, "1 row of v3_rentals will never be published\n");

    let waiting = decide(&["retry", "v3_rentals", "--seq", "11", "--wait", "--json"]);
    asked(&pool, 11).await;
    let hour = Duration::from_hours(1);
    quarantine::refused_again(&pool, relay, "v3_rentals", 11, "still too large", hour)
        .await
        .unwrap();
    let refused = waiting.await.unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(shown["done"], true);
    assert_eq!(shown["refused"], json!([{ "seq": 11, "tries": 2, "cause": "still too large" }]));
    assert!(stderr(&refused, 1).starts_with("error: 1 row refused again\n"), "{refused:?}");

    let behind = decide(&["retry", "v3_rentals", "--seq", "13", "--wait"]).await.unwrap();
    let table = String::from_utf8(behind.stdout.clone()).unwrap();
    assert!(table.contains("\n13   1      -         waits behind row 11 of its key\n"), "{table}");
    assert!(stderr(&behind, 1).contains("1 row not tried, behind other rows"), "{behind:?}");
}

#[test]
fn help_says_what_is_shown_and_what_is_final() {
    let show = stdout(&dionysus(&["quarantine", "show", "--help"], &[]));
    assert!(show.contains("PERSONAL DATA") && show.contains("Exit codes:"), "{show}");
    let drop = stdout(&dionysus(&["quarantine", "drop", "--help"], &[]));
    assert!(drop.contains("Never publish these rows, nor those of their keys"), "{drop}");
    assert_eq!(dionysus(&["quarantine", "skip", "v3_rentals"], &[]).status.code(), Some(2));
    let script = stdout(&dionysus(&["completion", "bash"], &[]));
    assert!(
        script.contains("dionysus__subcmd__quarantine") || script.contains("quarantine"),
        "{script}"
    );
}
