use dionysus_core::Snapshot;
use dionysus_postgres::window::{Limit, WindowReader};
use sqlx::Connection as _;

use super::{TABLE, TOPIC, captured, events, rental, rows, run, run_on};
use crate::support::{reader, waits_for_a_lock};

#[tokio::test]
async fn what_is_rolled_back_leaves_nothing_a_savepoint_included() {
    let database = captured(TABLE, rental()).await;
    run(
        &database.pool,
        "begin;
         insert into rentals (id) values (1);
         savepoint a;
         insert into rentals (id) values (2);
         update rentals set name = 'gone' where id = 1;
         rollback to a;
         insert into rentals (id) values (3);
         commit;
         begin; insert into rentals (id) values (4); rollback;",
    )
    .await;
    assert_eq!(
        events(&database.pool).await,
        ["Rental:1 rental_created", "Rental:3 rental_created"]
    );
}

#[tokio::test]
async fn of_two_sessions_the_second_waits_and_its_row_comes_after_with_both_changes() {
    let database = captured(TABLE, rental()).await;
    run(&database.pool, "insert into rentals (id) values (1)").await;
    let mut first = database.pool.begin().await.unwrap();
    run_on(&mut first, "update rentals set name = 'first'").await;
    let pool = database.pool.clone();
    let second = tokio::spawn(async move { run(&pool, "update rentals set price = 2").await });
    waits_for_a_lock(&database).await;
    run_on(&mut first, "update rentals set updated_at = '2024-01-15'").await;
    first.commit().await.unwrap();
    second.await.unwrap();
    let rows = rows(&database.pool).await;
    assert_eq!(rows.len(), 4);
    assert!(rows[1].contains(r#""name":"first","price":null,"updated_at":null"#), "{rows:#?}");
    assert!(rows[2].contains(r#""price":null,"updated_at":"2024"#), "{rows:#?}");
    assert!(rows[3].contains(r#""name":"first","price":"2.0","updated_at":"2024"#), "{rows:#?}");
}

#[tokio::test]
async fn a_change_is_captured_before_one_that_another_trigger_makes_of_it() {
    let database = captured(TABLE, rental()).await;
    run(
        &database.pool,
        "create function again() returns trigger language plpgsql as $$ begin
             if new.name = 'once' then update rentals set name = 'twice' where id = new.id; end if;
             return null;
         end $$;
         create trigger \"!again\" after update on rentals for each row when (false) execute function again();
         create trigger again after insert or update on rentals for each row execute function again();
         insert into rentals (id, name) values (1, 'once')",
    )
    .await;
    let rows = rows(&database.pool).await;
    assert!(rows[0].contains("_created") && rows[0].contains("once"), "{rows:#?}");
    assert!(rows[1].contains("_updated") && rows[1].contains("twice"), "{rows:#?}");
    assert_eq!(rows.len(), 2);
}

/// `set local` within a function that pins other settings lasts to the end of the transaction.
#[tokio::test]
async fn an_asynchronous_commit_is_made_synchronous_and_no_other_setting_changes() {
    let database = captured(TABLE, rental()).await;
    let mut conn = database.pool.acquire().await.unwrap();
    run_on(
        &mut conn,
        "set timezone = 'Europe/Paris'; set datestyle = 'German'; set synchronous_commit = off",
    )
    .await;
    let setting = async |conn: &mut sqlx::PgConnection, name: &str| -> String {
        sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(conn).await.unwrap()
    };
    for (before, after) in [("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")] {
        let mut tx = conn.begin().await.unwrap();
        sqlx::query("select set_config('synchronous_commit', $1, true)")
            .bind(before)
            .execute(&mut *tx)
            .await
            .unwrap();
        run_on(&mut tx, "insert into rentals (id) values (1); update rentals set name = 'x'").await;
        run_on(&mut tx, "savepoint a; update rentals set name = 'y'; release a").await;
        assert_eq!(setting(&mut tx, "synchronous_commit").await, after, "before: {before}");
        assert_eq!(setting(&mut tx, "timezone").await, "Europe/Paris");
        assert_eq!(setting(&mut tx, "datestyle").await, "German, DMY");
        tx.rollback().await.unwrap();
    }
    run_on(&mut conn, "begin; insert into rentals (id) values (1); commit").await;
    assert_eq!(setting(&mut conn, "synchronous_commit").await, "off", "the session's own is kept");
    run_on(&mut conn, "begin; update rentals set name = name").await;
    assert_eq!(setting(&mut conn, "synchronous_commit").await, "off", "nothing was published");
    run_on(&mut conn, "rollback").await;
}

#[tokio::test]
async fn the_settings_of_a_session_do_not_reach_the_text() {
    let table = "create table rentals (id bigint primary key, account_id bigint, name bytea, price float8, updated_at timestamptz, canceled_at interval)";
    let model = super::with(
        rental(),
        serde_json::json!({ "soft_delete": null, "columns": [
            super::attribute("id", super::integer()), super::hidden("account_id"), super::attribute("name", super::text()),
            super::attribute("price", serde_json::json!({ "type": "number" })), super::attribute("updated_at", super::time()),
            super::attribute("canceled_at", super::integer())] }),
    );
    let database = captured(table, model).await;
    let mut conn = database.pool.acquire().await.unwrap();
    let insert = "insert into rentals values (1, 7, '\\xc3b3', 0.1::float8 + 0.2, '2024-07-01 00:00:00+02', '1 day 2 hours'); delete from rentals";
    run_on(&mut conn, insert).await;
    run_on(
        &mut conn,
        "set datestyle = 'SQL, DMY'; set timezone = 'America/New_York'; set intervalstyle = 'iso_8601';
         set extra_float_digits = -10; set bytea_output = 'escape'; set search_path = 'dionysus'; set standard_conforming_strings = on",
    )
    .await;
    run_on(&mut conn, &*Box::leak(insert.replace("rentals", "public.rentals").into_boxed_str()))
        .await;
    let rows = rows(&database.pool).await;
    assert_eq!(
        rows[0],
        r#"Rental:1 rental_created 7 {"id":1,"name":"ó","price":0.30000000000000004,"updated_at":"2024-06-30T22:00:00.000Z","canceled_at":93600,"links":{}}"#
    );
    assert_eq!(rows[..2], rows[2..]);
}

#[tokio::test]
async fn a_session_can_say_that_it_publishes_by_itself() {
    let database = captured(TABLE, rental()).await;
    let mut conn = database.pool.acquire().await.unwrap();
    run_on(&mut conn, "set dionysus.capture = 'off'; insert into rentals (id) values (1)").await;
    run_on(&mut conn, "set dionysus.capture = 'on'; insert into rentals (id) values (2)").await;
    run_on(&mut conn, "reset dionysus.capture; insert into rentals (id) values (3)").await;
    assert_eq!(
        events(&database.pool).await,
        ["Rental:2 rental_created", "Rental:3 rental_created"]
    );
}

#[tokio::test]
async fn who_writes_the_table_needs_no_right_on_the_outbox() {
    let database = captured(TABLE, rental()).await;
    let role = format!("clerk_{}", uuid::Uuid::new_v4().simple());
    let sql =
        format!("create role {role}; grant select, insert, update, delete on rentals to {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
    let mut conn = database.pool.acquire().await.unwrap();
    let become_clerk = sqlx::AssertSqlSafe(format!("set role {role}"));
    sqlx::raw_sql(become_clerk).execute(&mut *conn).await.unwrap();
    // A type of this name would be found first if temporary objects were searched as they are by default.
    run_on(&mut conn, "create domain pg_temp.text as pg_catalog.text check (value <> 'Villa')")
        .await;
    run_on(&mut conn, "insert into rentals (id, name) values (1, 'Villa')").await;
    let forbidden =
        sqlx::query("insert into dionysus.outbox default values").execute(&mut *conn).await;
    let not_executable = sqlx::raw_sql(
        "create temp table mine (id int); create trigger t after insert on mine for each row execute function dionysus.\"capture v3_rentals Rental\"()",
    )
    .execute(&mut *conn)
    .await;
    run_on(&mut conn, "reset role").await;
    for refused in [forbidden.map(drop), not_executable.map(drop)] {
        let code = refused.unwrap_err().into_database_error().unwrap().code().unwrap().into_owned();
        assert_eq!(code, "42501");
    }
    assert_eq!(events(&database.pool).await, ["Rental:1 rental_created"]);
    let sql = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
}

#[tokio::test]
async fn the_reader_brings_captures_and_counts_their_bytes() {
    let database = captured(TABLE, rental()).await;
    run(
        &database.pool,
        "insert into rentals (id, name) select i, repeat('x', 1000) from generate_series(1, 20) i",
    )
    .await;
    run(&database.pool, "delete from rentals where id = 1").await;
    let mut reader: WindowReader = reader(&database).await;
    let (from, topics) = (Snapshot::beginning(), [TOPIC.to_owned()]);
    let window = reader.fresh(&from, &topics, Limit::rows(100)).await.unwrap();
    assert_eq!(window.rows.len(), 21);
    for row in &window.rows {
        assert_eq!(row.payload().unwrap(), None);
        assert!(row.capture().unwrap().unwrap().starts_with('{'));
    }
    let average = window.average_payload().unwrap();
    assert!((1000..2000).contains(&average), "{average}");
    let again = reader.upto(&from, &window.to, &topics, Limit::rows(100)).await.unwrap();
    assert_eq!(again.rows.iter().filter(|row| row.capture().unwrap().is_some()).count(), 21);
    let limit = Limit { rows: 100, bytes: 5 * average };
    assert!(reader.fresh(&from, &topics, limit).await.unwrap().more, "too large a window");
    let start = reader.first_seq(&from, &window.to).await.unwrap();
    let chunk = reader.chunk(&from, &window.to, start, start, &topics, limit).await.unwrap();
    assert!(chunk.more && (5..=8).contains(&chunk.rows.len()), "{}", chunk.rows.len());
    assert!(chunk.rows.iter().all(|row| row.capture().unwrap().is_some()));
}

#[tokio::test]
async fn event_ids_are_uuids_of_version_7() {
    let database = captured(TABLE, rental()).await;
    run(&database.pool, "insert into rentals (id) select generate_series(1, 50)").await;
    let ids: Vec<uuid::Uuid> =
        sqlx::query_scalar("select event_id from dionysus.outbox order by seq")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let millis = |id: &uuid::Uuid| id.get_timestamp().unwrap().to_unix();
    assert!(
        ids.iter()
            .all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122)
    );
    assert!(ids.is_sorted_by_key(millis));
    let now = chrono::Utc::now().timestamp().unsigned_abs();
    assert!(now.abs_diff(millis(&ids[0]).0) < 60);
}
