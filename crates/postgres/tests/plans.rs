//! The plans that the reader relies on, on tables without statistics: what a fresh partition is.

use dionysus_core::{Cursor, Snapshot};
use dionysus_embedded::testing::Database;
use dionysus_postgres::partitions;
use dionysus_postgres::window::Limit;

use crate::support::{append_all, database, reader};

#[tokio::test]
async fn an_idle_poll_reads_no_history() {
    let database = filled().await;
    let topics = vec!["a".to_owned()];
    let mut reader = reader(&database).await;
    let at = reader.fresh(&Snapshot::beginning(), &topics, Limit::rows(1)).await.unwrap().to;
    let before = counters(&database).await;
    for _ in 0..50 {
        reader.fresh(&at, &topics, Limit::rows(100)).await.unwrap();
        reader.upto(&at, &at, &topics, Limit::rows(100)).await.unwrap();
    }
    reader.close().await;
    let after = counters(&database).await;
    assert!(
        after.entries - before.entries <= 100,
        "100 idle polls read {} index entries",
        after.entries - before.entries
    );
    assert_eq!(after.scans, before.scans, "an idle poll scanned a table");
}

#[tokio::test]
async fn a_chunk_reads_its_own_rows_and_not_the_window() {
    let database = filled().await;
    let topics = vec!["a".to_owned()];
    let mut reader = reader(&database).await;
    // One long transaction whose rows lie among the others.
    let from = reader.fresh(&Snapshot::beginning(), &topics, Limit::rows(1)).await.unwrap().to;
    let mut long = database.pool.begin().await.unwrap();
    append_all(&mut long, &[("a", "Rental:1"); 500]).await;
    let began = reader.fresh(&from, &topics, Limit::rows(1)).await.unwrap().to;
    fill(&database).await;
    append_all(&mut long, &[("a", "Rental:1"); 500]).await;
    long.commit().await.unwrap();
    let to = reader.fresh(&began, &topics, Limit::rows(1)).await.unwrap().to;
    let start = reader.first_seq(&began, &to).await.unwrap();
    reader.close().await;

    let mut reader = crate::support::reader(&database).await;
    let before = counters(&database).await;
    let (mut after, mut rows, mut chunks) = (Cursor::WINDOW_START, 0, 0);
    loop {
        let chunk =
            reader.chunk(&began, &to, after, start, &topics, Limit::rows(100)).await.unwrap();
        rows += i64::try_from(chunk.rows.len()).unwrap();
        chunks += 1;
        after = chunk.rows.last().map_or(after, |row| row.seq());
        if !chunk.more {
            break;
        }
    }
    reader.close().await;
    let read = counters(&database).await.entries - before.entries;
    assert_eq!(rows, 11_000);
    // Each chunk looks at its limit in both streams, and merges one into the other.
    assert!(
        read <= 2 * rows + 300 * chunks,
        "{chunks} chunks with {rows} rows read {read} index entries"
    );
}

#[tokio::test]
async fn a_look_for_what_waits_reads_no_more_than_its_limit() {
    let database = filled().await;
    let mut reader = reader(&database).await;
    let topics = vec!["a".to_owned()];
    // A long transaction that has finished since, and many short ones.
    let mut long = database.pool.begin().await.unwrap();
    append_all(&mut long, &vec![("a", "Rental:1"); 5_000]).await;
    let from = reader.fresh(&Snapshot::beginning(), &topics, Limit::rows(1)).await.unwrap().to;
    long.commit().await.unwrap();
    fill(&database).await;
    let to = reader.fresh(&from, &topics, Limit::rows(1)).await.unwrap().to;
    reader.close().await;
    let first: i64 = sqlx::query_scalar("select min(seq) from dionysus.outbox")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let cursors =
        [Cursor::At(from.clone()), Cursor::At(to.clone()), Cursor::Inside { from, to, seq: first }];
    for cursor in &cursors {
        let before = counters(&database).await;
        for _ in 0..20 {
            dionysus_postgres::waiting::look(&database.pool, cursor, 100).await.unwrap();
        }
        let after = counters(&database).await;
        // Both parts of the statement up to the limit.
        assert!(
            after.entries - before.entries <= 20 * 210,
            "20 looks at 100 rows behind {cursor:?} read {} index entries",
            after.entries - before.entries
        );
        // A partition that is empty may be scanned: nothing is cheaper.
        assert_eq!(after.scanned, before.scanned, "a look behind {cursor:?} scanned rows");
    }
}

async fn filled() -> Database {
    let database = database().await;
    partitions::make_ahead(&database.pool, 2).await.unwrap();
    fill(&database).await;
    database
}

async fn fill(database: &Database) {
    let mut conn = database.pool.acquire().await.unwrap();
    for _ in 0..20 {
        append_all(&mut conn, &[("a", "Rental:1"); 500]).await;
    }
}

/// What the statistics count on all partitions of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, sqlx::FromRow)]
struct Counters {
    /// Index entries read.
    entries: i64,
    /// Sequential scans.
    scans: i64,
    /// Rows that they read.
    scanned: i64,
}

/// The counters, once the statistics of closed sessions have arrived: they do so soon, not at once, and tell nobody.
async fn counters(database: &Database) -> Counters {
    let read = || async {
        sqlx::query_as::<_, Counters>(
            "select (select sum(idx_tup_read)::bigint from pg_stat_user_indexes where relname like 'outbox%') as entries,
                    (select sum(seq_scan)::bigint from pg_stat_user_tables where relname like 'outbox%') as scans,
                    (select sum(seq_tup_read)::bigint from pg_stat_user_tables where relname like 'outbox%') as scanned",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap()
    };
    let (mut last, mut same) = (read().await, 0);
    while same < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let now = read().await;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}
