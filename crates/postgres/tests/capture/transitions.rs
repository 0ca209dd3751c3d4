use serde_json::json;

use super::{TABLE, attribute, captured, events, hidden, integer, rental, rows, run, text, with};

#[tokio::test]
async fn each_change_of_a_row_is_the_event_that_the_application_would_state() {
    let database = captured(TABLE, rental()).await;
    let pool = &database.pool;
    for (statement, expected) in [
        ("insert into rentals (id, name) values (1, 'Villa')", &["Rental:1 rental_created"][..]),
        (
            "insert into rentals (id, canceled_at) values (2, '2024-01-01')",
            &["Rental:2 rental_created"],
        ),
        ("update rentals set name = 'Villa Sivota' where id = 1", &["Rental:1 rental_updated"]),
        ("update rentals set name = name", &[]),
        ("update rentals set secret = 'x'", &[]),
        ("update rentals set name = 'unseen' where id = 2", &[]),
        (
            "update rentals set canceled_at = '2024-01-02' where id = 2",
            &["Rental:2 rental_destroyed"],
        ),
        ("update rentals set canceled_at = '2024-01-02 00:00:00.0004' where id = 2", &[]),
        (
            "update rentals set canceled_at = '2024-01-01' where id = 1",
            &["Rental:1 rental_destroyed"],
        ),
        ("update rentals set canceled_at = null where id = 1", &["Rental:1 rental_created"]),
        ("update rentals set account_id = 8 where id = 1", &["Rental:1 rental_updated"]),
        (
            "update rentals set id = 3 where id = 1",
            &["Rental:1 rental_destroyed", "Rental:3 rental_created"],
        ),
        ("delete from rentals where id = 2", &["Rental:2 rental_destroyed"]),
        (
            "insert into rentals (id) values (3), (4) on conflict (id) do update set name = 'again'",
            &["Rental:3 rental_updated", "Rental:4 rental_created"],
        ),
        ("delete from rentals", &["Rental:3 rental_destroyed", "Rental:4 rental_destroyed"]),
    ] {
        run(pool, statement).await;
        assert_eq!(events(pool).await, expected, "{statement}");
    }
}

#[tokio::test]
async fn a_row_holds_the_whole_snapshot_but_for_a_row_that_is_gone() {
    let database = captured(TABLE, rental()).await;
    run(
        &database.pool,
        "insert into rentals values (1, 7, 'Villa', 10.50, 'x', '2024-01-15 10:00:00.123456', null);
         update rentals set canceled_at = '2024-01-16';
         update rentals set account_id = null, canceled_at = null;
         delete from rentals;",
    )
    .await;
    let rental = |canceled_at: &str| {
        format!(
            r#"{{"id":1,"name":"Villa","price":"10.5","updated_at":"2024-01-15T10:00:00.123Z","canceled_at":{canceled_at},"links":{{}}}}"#
        )
    };
    assert_eq!(
        rows(&database.pool).await,
        [
            format!("Rental:1 rental_created 7 {}", rental("null")),
            format!("Rental:1 rental_destroyed 7 {}", rental(r#""2024-01-16T00:00:00.000Z""#)),
            format!("Rental:1 rental_created - {}", rental("null")),
            r#"Rental:1 rental_destroyed - {"links":{},"id":1}"#.to_owned(),
        ]
    );
}

#[tokio::test]
async fn what_is_compared_is_what_is_published() {
    let table = "create table rentals (
        id bigint primary key, at timestamp, clock time, price numeric, lasts interval, host inet, document json, place point, tags text[])";
    let names = ["at", "clock", "price", "lasts", "host", "document", "place", "tags"];
    let columns: Vec<_> = [attribute("id", integer())]
        .into_iter()
        .chain(names.map(|name| attribute(name, json!({}))))
        .collect();
    let model =
        with(rental(), json!({ "columns": columns, "soft_delete": null, "partition_key": null }));
    let database = captured(table, model).await;
    let pool = &database.pool;
    run(
        pool,
        r#"insert into rentals values (1, '2024-01-15 10:00:00.1234', '10:00:00.1234', 10.5, '1 day 00:00:00.5', '10.0.0.1/8', '{"a": 1}', '(1,2)', '{a}')"#,
    )
    .await;
    assert_eq!(events(pool).await.len(), 1);
    run(
        pool,
        "update rentals set at = '2024-01-15 10:00:00.1239', clock = '10:00:00.1239', price = 10.500, lasts = '24:00:00.4', host = '10.0.0.2/8'",
    )
    .await;
    assert_eq!(events(pool).await, [""; 0], "nothing changed on the wire");
    for change in [
        "update rentals set at = '2024-01-15 10:00:00.124'",
        "update rentals set clock = null",
        "update rentals set price = 10.51",
        "update rentals set lasts = '1 month'",
        "update rentals set host = '11.0.0.2/8'",
        r#"update rentals set document = '{"a": 2}'"#,
        "update rentals set place = '(1,3)'",
        "update rentals set tags = '{a,NULL}'",
        "update rentals set at = 'infinity'",
    ] {
        run(pool, change).await;
        assert_eq!(events(pool).await, ["Rental:1 rental_updated"], "{change}");
    }
}

#[tokio::test]
async fn a_model_can_ask_for_updates_after_its_soft_delete() {
    let model = with(rental(), json!({ "updates_after_soft_delete": true }));
    let database = captured(TABLE, model).await;
    run(
        &database.pool,
        "insert into rentals (id, canceled_at) values (1, now()); update rentals set name = 'seen'",
    )
    .await;
    assert_eq!(
        events(&database.pool).await,
        ["Rental:1 rental_created", "Rental:1 rental_updated"]
    );
}

#[tokio::test]
async fn a_soft_delete_column_need_not_be_published() {
    let columns = json!([attribute("id", integer()), hidden("account_id"), hidden("canceled_at")]);
    let database = captured(TABLE, with(rental(), json!({ "columns": columns }))).await;
    run(
        &database.pool,
        "insert into rentals (id) values (1); update rentals set canceled_at = now()",
    )
    .await;
    assert_eq!(
        rows(&database.pool).await,
        [
            r#"Rental:1 rental_created - {"id":1,"links":{}}"#,
            r#"Rental:1 rental_destroyed - {"id":1,"links":{}}"#
        ]
    );
}

#[tokio::test]
async fn links_are_read_from_their_columns() {
    let id = json!({ "type": ["integer", "null"] });
    let polymorphic = json!({ "type": ["object", "null"], "properties": { "type": text(), "id": { "type": "string" } } });
    let links = json!([
        { "name": "account", "kind": "to_one", "column": "account_id", "type_column": null, "schema": id },
        { "name": "owner", "kind": "polymorphic", "column": "owner_id", "type_column": "owner_type", "schema": polymorphic },
    ]);
    let columns = json!([
        attribute("id", integer()),
        hidden("account_id"),
        hidden("owner_id"),
        hidden("owner_type")
    ]);
    let model = with(
        rental(),
        json!({ "columns": columns, "links": links, "soft_delete": null, "partition_key": null }),
    );
    let table = "create table rentals (id bigint primary key, account_id int, owner_id varchar(9), owner_type text)";
    let database = captured(table, model).await;
    run(
        &database.pool,
        "insert into rentals values (1, 7, 'x1', 'Company'), (2, null, null, 'Company');
         update rentals set owner_type = 'Person'",
    )
    .await;
    assert_eq!(
        rows(&database.pool).await,
        [
            r#"Rental:1 rental_created - {"id":1,"links":{"account":7,"owner":{"type":"Company","id":"x1"}}}"#,
            r#"Rental:2 rental_created - {"id":2,"links":{"account":null,"owner":null}}"#,
            r#"Rental:1 rental_updated - {"id":1,"links":{"account":7,"owner":{"type":"Person","id":"x1"}}}"#,
            r#"Rental:2 rental_updated - {"id":2,"links":{"account":null,"owner":null}}"#,
        ]
    );
}

#[tokio::test]
async fn a_topic_with_tombstones_gets_one_behind_each_hard_delete() {
    let database = crate::support::database().await;
    run(&database.pool, TABLE).await;
    let topology = json!({ "format": 1, "max_message_bytes": 5000, "tombstones": true, "models": [super::registered(rental())] });
    super::register_with(&database.pool, topology).await;
    super::install(&database.pool).await;
    run(&database.pool, "insert into rentals (id, account_id) values (1, 7); delete from rentals")
        .await;
    assert_eq!(
        rows(&database.pool).await[1..],
        [r#"Rental:1 rental_destroyed 7 {"links":{},"id":1}"#, "Rental:1 rental_destroyed 7 -"]
    );
}

#[tokio::test]
async fn an_integer_partition_key_of_null_is_the_gems_zero() {
    let key = json!({ "partition_key": { "attribute": "account_id", "integer": true } });
    let database = captured(TABLE, with(rental(), key)).await;
    run(
        &database.pool,
        "insert into rentals (id, account_id) values (1, null), (2, -3); delete from rentals",
    )
    .await;
    let keys: Vec<String> =
        sqlx::query_scalar("select partition_key from dionysus.outbox order by seq")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(keys, ["0", "-3", "0", "-3"]);
}
