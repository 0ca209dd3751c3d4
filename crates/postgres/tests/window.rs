use dionysus_core::{Cursor, Snapshot};
use dionysus_postgres::incarnation;
use dionysus_postgres::window::{Limit, Window, WindowReader};

use crate::support::{append, append_all, database, reader};

const LIMIT: Limit = Limit::rows(1000);

fn topics() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned()]
}

fn keys(window: &Window) -> Vec<String> {
    window.rows.iter().map(|row| row.key().unwrap().to_owned()).collect()
}

async fn fresh(reader: &mut WindowReader, from: &Snapshot) -> Window {
    reader.fresh(from, &topics(), LIMIT).await.unwrap()
}

#[tokio::test]
async fn a_late_commit_is_read_when_it_commits_and_nothing_waits_for_it() {
    let database = database().await;
    let mut reader = reader(&database).await;
    let mut late = database.pool.begin().await.unwrap();
    append(&mut late, "a", "Rental:late").await;
    append(&mut database.pool.acquire().await.unwrap(), "a", "Rental:early").await;
    let first = fresh(&mut reader, &Snapshot::beginning()).await;
    assert_eq!(keys(&first), ["Rental:early"]);
    let nothing = fresh(&mut reader, &first.to).await;
    assert_eq!(keys(&nothing), [""; 0]);
    late.commit().await.unwrap();
    let second = fresh(&mut reader, &nothing.to).await;
    assert_eq!(keys(&second), ["Rental:late"]);
    assert_eq!(keys(&fresh(&mut reader, &second.to).await), [""; 0]);
}

#[tokio::test]
async fn roll_backs_savepoints_and_other_topics_leave_nothing() {
    let database = database().await;
    let mut reader = reader(&database).await;
    let mut tx = database.pool.begin().await.unwrap();
    append(&mut tx, "a", "Rental:1").await;
    sqlx::query("savepoint s").execute(&mut *tx).await.unwrap();
    append(&mut tx, "a", "Rental:undone").await;
    sqlx::query("rollback to savepoint s").execute(&mut *tx).await.unwrap();
    sqlx::query("savepoint t").execute(&mut *tx).await.unwrap();
    append_all(&mut tx, &[("b", "Rental:2"), ("c", "Rental:elsewhere")]).await;
    sqlx::query("release savepoint t").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut gone = database.pool.begin().await.unwrap();
    append(&mut gone, "a", "Rental:gone").await;
    gone.rollback().await.unwrap();
    assert_eq!(keys(&fresh(&mut reader, &Snapshot::beginning()).await), ["Rental:1", "Rental:2"]);
}

#[tokio::test]
async fn a_window_up_to_a_snapshot_holds_what_a_fresh_one_held_then() {
    let database = database().await;
    let mut reader = reader(&database).await;
    let mut late = database.pool.begin().await.unwrap();
    append(&mut late, "a", "Rental:1").await;
    append(&mut database.pool.acquire().await.unwrap(), "b", "Rental:2").await;
    let s0 = fresh(&mut reader, &Snapshot::beginning()).await.to;
    late.commit().await.unwrap();
    let mut open = database.pool.begin().await.unwrap();
    append(&mut open, "a", "Rental:3").await;
    append(&mut database.pool.acquire().await.unwrap(), "a", "Rental:4").await;
    let then = fresh(&mut reader, &s0).await;
    open.commit().await.unwrap();
    append(&mut database.pool.acquire().await.unwrap(), "a", "Rental:5").await;
    let again = reader.upto(&s0, &then.to, &topics(), LIMIT).await.unwrap();
    assert_eq!(keys(&again), keys(&then));
    assert_eq!(keys(&then), ["Rental:1", "Rental:4"]);
    assert!(!again.to_is_new && then.to_is_new);
}

#[tokio::test]
async fn chunks_of_a_large_window_are_the_window_in_order_of_seq() {
    let database = database().await;
    let mut reader = reader(&database).await;
    // Three transactions that began before S and end after it, interleaved by number with each other and with later ones.
    let mut early = Vec::new();
    for _ in 0..3 {
        early.push(database.pool.begin().await.unwrap());
    }
    for round in 0..10 {
        for (i, tx) in early.iter_mut().enumerate() {
            append(tx, "a", &format!("Rental:{}", round * 3 + i)).await;
        }
    }
    let s = fresh(&mut reader, &Snapshot::beginning()).await.to;
    let mut open = database.pool.begin().await.unwrap();
    append(&mut open, "a", "Rental:invisible").await;
    for i in 0..20 {
        for tx in &mut early {
            append(tx, "b", &format!("Rental:{}", 100 + i)).await;
        }
        append_all(
            &mut database.pool.acquire().await.unwrap(),
            &[("a", "Rental:200"), ("c", "Rental:elsewhere")],
        )
        .await;
    }
    for tx in early {
        tx.commit().await.unwrap();
    }
    let whole = fresh(&mut reader, &s).await;
    assert_eq!(whole.rows.len(), 30 + 60 + 20);
    let expected: Vec<i64> = whole.rows.iter().map(|row| row.seq()).collect();
    assert!(expected.is_sorted());
    open.commit().await.unwrap();

    let start = reader.first_seq(&s, &whole.to).await.unwrap();
    for limit in [1, 7, 50, 110, 1000] {
        let (mut read, mut after) = (Vec::new(), Cursor::WINDOW_START);
        loop {
            let chunk = reader
                .chunk(&s, &whole.to, after, start, &topics(), Limit::rows(limit))
                .await
                .unwrap();
            read.extend(chunk.rows.iter().map(|row| row.seq()));
            after = read.last().copied().unwrap_or(after);
            if !chunk.more {
                break;
            }
        }
        assert_eq!(read, expected, "limit {limit}");
    }
}

#[tokio::test]
async fn a_window_above_the_limit_says_so_and_brings_no_rows() {
    let database = database().await;
    let mut reader = reader(&database).await;
    for i in 0..5 {
        append(&mut database.pool.acquire().await.unwrap(), "a", &format!("Rental:{i}")).await;
    }
    let window = reader.fresh(&Snapshot::beginning(), &topics(), Limit::rows(4)).await.unwrap();
    assert!(window.more && window.rows.is_empty());
    let window = reader.fresh(&Snapshot::beginning(), &topics(), Limit::rows(5)).await.unwrap();
    assert!(!window.more && window.rows.len() == 5);
}

#[tokio::test]
async fn every_read_brings_the_token_that_a_crash_takes_away() {
    let database = database().await;
    let mut reader = reader(&database).await;
    append(&mut database.pool.acquire().await.unwrap(), "a", "Rental:1").await;
    assert_eq!(fresh(&mut reader, &Snapshot::beginning()).await.token, None);
    let token = incarnation::token(&database.pool).await.unwrap();
    assert_eq!(incarnation::token(&database.pool).await.unwrap(), token);
    let window = fresh(&mut reader, &Snapshot::beginning()).await;
    assert_eq!(window.token, Some(token));
    let chunk =
        reader.chunk(&Snapshot::beginning(), &window.to, 0, 0, &topics(), LIMIT).await.unwrap();
    assert_eq!(chunk.token, Some(token));
    // What crash recovery does to an unlogged table.
    sqlx::query("truncate dionysus.incarnation").execute(&database.pool).await.unwrap();
    assert_eq!(fresh(&mut reader, &window.to).await.token, None);
    assert_ne!(incarnation::token(&database.pool).await.unwrap(), token);
}

#[tokio::test]
async fn reading_stops_at_the_byte_limit_and_goes_on_behind_it() {
    let database = database().await;
    let mut reader = reader(&database).await;
    let mut conn = database.pool.acquire().await.unwrap();
    append_all(&mut conn, &[("a", "Rental:1"); 10]).await;
    let window = fresh(&mut reader, &Snapshot::beginning()).await;
    // A payload is two bytes: the third row exceeds five.
    let limit = Limit { rows: 1000, bytes: 5 };
    let cut = reader.fresh(&Snapshot::beginning(), &topics(), limit).await.unwrap();
    assert!(cut.more && cut.rows.is_empty());
    let (mut read, mut after) = (Vec::new(), Cursor::WINDOW_START);
    loop {
        let chunk = reader
            .chunk(
                &Snapshot::beginning(),
                &window.to,
                after,
                Cursor::WINDOW_START,
                &topics(),
                limit,
            )
            .await
            .unwrap();
        assert!(chunk.rows.len() <= 3);
        read.extend(chunk.rows.iter().map(|row| row.seq()));
        after = read.last().copied().unwrap();
        if !chunk.more {
            break;
        }
    }
    assert_eq!(read, window.rows.iter().map(|row| row.seq()).collect::<Vec<_>>());
}
