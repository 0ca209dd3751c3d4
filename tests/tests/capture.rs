//! Capture by trigger: what is written by other programs goes through the real relay into the log, beside what an application states.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::NaiveDate;
use dionysus::{Outbox, Publishable, Topology};
use dionysus_core::encode_captured;
use dionysus_e2e::{Process, RelayProcess, drained, figure, read_log};
use dionysus_embedded::testing;
use dionysus_testing::TestDatabase;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, FromRow, PgPool};

use crate::models::{Rental, create_tables};

const WRITERS: i64 = 8;
const CHANGES: i64 = 60;

/// Writes that psql or a program in another language could send, one script a round: savepoints, roll-backs, bulk, hard deletes.
const SCRIPT: &str = "
    begin;
    insert into rentals values (WRITER * 1000 + ROUND, WRITER, '<Villa> ROUND', 1);
    savepoint a;
    update rentals set name = 'never' where account_id = WRITER;
    rollback to a;
    update rentals set revision = revision + 1 where id = 0;
    update rentals set revision = revision where account_id = WRITER;
    update rentals set name = name || '!' where account_id = WRITER and id % 7 = ROUND % 7;
    delete from rentals where id = WRITER * 1000 + ROUND - 3;
    commit;
    begin; delete from rentals where account_id = WRITER; rollback;
    set synchronous_commit = off;";

/// Runs what `dionysus capture sql` prints.
async fn capture(database: &TestDatabase, topic: &str) -> Result<()> {
    let arguments = ["capture", "sql", "--topic", topic];
    let variables = [("DATABASE_URL", &*database.url)];
    let printed = Process::run("dionysus", &arguments, &variables, Duration::from_secs(20)).await?;
    ensure!(printed.code == 0, "{printed:?}");
    sqlx::raw_sql(AssertSqlSafe(printed.stdout)).execute(&database.pool).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_reaches_the_log_in_the_order_of_its_commits() -> Result<()> {
    let database = TestDatabase::new().await;
    create_tables(&database.pool).await?;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let topic = format!("{namespace}_rentals");
    let topology = Topology::builder()
        .namespace(&*namespace, |ns| {
            ns.topic("rentals", |t| t.genesis_replica().tombstones().publish::<Rental>())
        })
        .build()?;
    // The application says that it publishes by itself, or its changes would come twice.
    let options: PgConnectOptions = database.url.parse()?;
    let own = PgPool::connect_with(options.options([("dionysus.capture", "off")])).await?;
    let outbox = Outbox::connect(own, topology).await?;
    capture(&database, &topic).await?;
    sqlx::raw_sql("insert into rentals values (0, 0, 'shared', 1)").execute(&database.pool).await?;
    let relay = RelayProcess::new(&database.url, &brokers).start()?;

    let mut tasks = tokio::task::JoinSet::new();
    for writer in 1..=WRITERS {
        let mut conn = database.url.parse::<PgConnectOptions>()?.connect().await?;
        tasks.spawn(async move {
            for round in 1..=CHANGES {
                let (writer, round) = (writer.to_string(), round.to_string());
                let script = SCRIPT.replace("WRITER", &writer).replace("ROUND", &round);
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut conn).await?;
            }
            anyhow::Ok(())
        });
    }
    for _ in 0..CHANGES {
        let mut tx = outbox.begin().await?;
        let sql = "update rentals set revision = revision + 1 where id = 0 returning *";
        let shared: Rental = sqlx::query_as(sql).fetch_one(&mut *tx).await?;
        tx.updated(&shared)?;
        tx.commit().await?;
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    drained(&database.pool, Duration::from_secs(30)).await?;
    relay.kill().await?;

    let expected = messages(&database.pool).await?;
    let primary = read_log(&brokers, &topic).await?;
    let twin = read_log(&brokers, &format!("{topic}_genesis")).await?;
    figure(format_args!("{} captured and stated rows, in the log byte by byte", expected.len()));
    for log in [&primary, &twin] {
        let mut newest: HashMap<&str, i64> = HashMap::new();
        let mut seen = HashSet::new();
        for record in log {
            // What is repeated after a failure was seen before.
            if !seen.insert(record.version) {
                continue;
            }
            let last = newest.insert(&record.key, record.version).unwrap_or(0);
            ensure!(last < record.version, "{} goes back to {}", record.key, record.version);
            let (key, message) = expected.get(&record.version).context("a record without row")?;
            ensure!(*key == record.key, "{key} became {}", record.key);
            let wrote = str::from_utf8(&record.payload)?;
            ensure!(wrote == message, "row {message}\nlog {wrote}");
        }
        ensure!(seen.len() == expected.len(), "{} of {} rows", seen.len(), expected.len());
    }
    // The last that the log says of an instance is what its table holds.
    let shared = primary.iter().rfind(|record| record.key == "Rental:0").context("no record")?;
    let revision = 1 + (WRITERS + 1) * CHANGES;
    let payload = str::from_utf8(&shared.payload)?;
    ensure!(payload.contains(&format!("\"revision\":{revision},")), "{payload}");
    ensure!(
        !primary.iter().any(|it| str::from_utf8(&it.payload).is_ok_and(|it| it.contains("never")))
    );
    ensure!(primary.iter().any(|it| it.payload.is_empty()), "no tombstone");
    Ok(())
}

/// Key and message of each row, by number.
async fn messages(pool: &PgPool) -> Result<HashMap<i64, (String, String)>> {
    let rows: Vec<(i64, String, Option<String>, Option<String>)> = sqlx::query_as(
        "select seq, key, convert_from(payload, 'UTF8'), capture::text from dionysus.outbox",
    )
    .fetch_all(pool)
    .await?;
    let captured = rows.iter().filter(|(.., capture)| capture.is_some()).count();
    ensure!(captured > rows.len() / 2 && captured < rows.len(), "{captured} of {}", rows.len());
    let message = |payload: Option<String>, capture: Option<String>| match capture {
        Some(capture) => {
            let mut message = Vec::new();
            encode_captured(&capture, &mut message)?;
            anyhow::Ok(String::from_utf8(message)?)
        }
        None => Ok(payload.unwrap_or_default()),
    };
    rows.into_iter()
        .map(|(seq, key, payload, capture)| Ok((seq, (key, message(payload, capture)?))))
        .collect()
}

#[derive(FromRow, Publishable)]
#[publishable(table = "stays")]
struct Stay {
    id: i64,
    note: Option<String>,
    day: Option<NaiveDate>,
}

/// A day that Postgres knows and no struct can hold.
const FAR_DAY: &str = "5874897-12-31";

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_row_without_a_form_on_the_wire_is_set_aside_and_named() -> Result<()> {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let table = "create table stays (id bigint primary key, note text, day date)";
    sqlx::raw_sql(table).execute(pool).await?;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let topic = format!("{namespace}_stays");
    let topology = Topology::builder()
        .namespace(&*namespace, |ns| ns.topic("stays", |t| t.publish::<Stay>()))
        .build()?;
    Outbox::connect(pool.clone(), topology).await?;
    capture(&database, &topic).await?;
    let log = tempfile::NamedTempFile::new()?;
    let variables = [("DATABASE_URL", &*database.url), ("KAFKA_BROKERS", &*brokers)];
    let mut relay = Process::start_logging("outbox-relay", &[], &variables, log.path())?;

    let writes = format!(
        "insert into stays values (1, 'secret', '2024-01-15'), (2, 'secret', '{FAR_DAY}'), (3, 'secret', null);
         update stays set day = '2024-01-15' where id = 2"
    );
    sqlx::raw_sql(AssertSqlSafe(writes)).execute(pool).await?;
    drained(pool, Duration::from_secs(30)).await?;
    let keys: Vec<String> =
        read_log(&brokers, &topic).await?.into_iter().map(|record| record.key).collect();
    ensure!(keys == ["Stay:1", "Stay:3"] || keys == ["Stay:3", "Stay:1"], "{keys:?}");
    let aside: Vec<(String, Option<String>)> = sqlx::query_as(
        "select key || ' ' || event, cause from dionysus.quarantine where topic = $1 order by seq",
    )
    .bind(&topic)
    .fetch_all(pool)
    .await?;
    let [(refused, Some(cause)), (behind, None)] = aside.as_slice() else {
        anyhow::bail!("set aside: {aside:?}");
    };
    ensure!((&**refused, &**behind) == ("Stay:2 stay_created", "Stay:2 stay_updated"), "{aside:?}");
    ensure!(cause.contains("attribute `day` of type `date` cannot be written"), "{cause}");
    ensure!(relay.terminate(Duration::from_secs(5)).await? == 0);
    let said = std::fs::read_to_string(log.path())?;
    ensure!(said.contains("attribute `day`") && said.contains(&topic), "no word of it:\n{said}");
    for text in [&said, cause] {
        ensure!(!text.contains("secret") && !text.contains(FAR_DAY), "the payload: {text}");
    }
    Ok(())
}
