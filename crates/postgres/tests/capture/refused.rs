use serde_json::{Value, json};

use super::{attribute, captured, events, hidden, rental, run, text, with};

const TABLE: &str = "create table rentals (
    code text primary key, region text, name text, photo bytea, prices numrange, days daterange, season tsrange)";

fn model() -> Value {
    let columns = json!([
        attribute("code", text()),
        hidden("region"),
        attribute("name", text()),
        attribute("photo", text()),
        attribute("prices", text()),
        attribute("days", text()),
        attribute("season", text()),
    ]);
    with(
        rental(),
        json!({
            "columns": columns, "primary_key": "code", "soft_delete": null,
            "partition_key": { "attribute": "region", "integer": false },
        }),
    )
}

#[tokio::test]
async fn what_could_not_be_published_is_refused_as_it_is_written() {
    let database = captured(TABLE, model()).await;
    let pool = &database.pool;
    for (values, message) in [
        ("('')", "an instance of model `Rental` for topic `v3_rentals` has an empty id"),
        (
            "(repeat('x', 2042))",
            "a key of model `Rental` for topic `v3_rentals` is longer than 2048 bytes",
        ),
        (
            "('a', '')",
            "the partition key of an instance of model `Rental` for topic `v3_rentals` is empty",
        ),
        (
            "('a', 'eu', repeat('x', 5001))",
            "a message of model `Rental` for topic `v3_rentals` is larger than the topic's 5000 bytes",
        ),
        (
            "('a', 'eu', null, '\\xff00fe')",
            "attribute `photo` of model `Rental` for topic `v3_rentals` holds bytes that are not UTF-8",
        ),
        (
            "('a', 'eu', null, null, '(1,2)')",
            "attribute `prices` of model `Rental` for topic `v3_rentals` has a range that excludes its lower bound",
        ),
        (
            "('a', 'eu', null, null, null, '[2024-01-01,infinity)')",
            "attribute `days` of model `Rental` for topic `v3_rentals` has a range with an infinite bound",
        ),
        (
            "('a', 'eu', null, null, null, null, '(2024-01-01,)')",
            "attribute `season` of model `Rental` for topic `v3_rentals` has a range that excludes its lower bound or has an infinite one",
        ),
        (
            "('a', 'eu', null, null, null, null, '[2024-01-01,infinity]')",
            "attribute `season` of model `Rental` for topic `v3_rentals` has a range that excludes its lower bound or has an infinite one",
        ),
    ] {
        let sql = sqlx::AssertSqlSafe(format!("insert into rentals values {values}"));
        let error = sqlx::raw_sql(sql).execute(pool).await.unwrap_err();
        let error = error.into_database_error().unwrap();
        assert_eq!(
            (error.message(), error.code().as_deref()),
            (message, Some("23514")),
            "{values}"
        );
    }
    run(
        pool,
        "insert into rentals values (repeat('x', 2041), 'eu', repeat('x', 2000), '\\xc3b3', '[1,2)', 'empty', '(,)'),
             ('b', null, null, null, 'empty', '(,2024-01-01)', '(,2024-01-01)'), ('c', 'eu', '', '', '(,2]', '[2024-01-01,)', 'empty')",
    )
    .await;
    assert_eq!(events(pool).await.len(), 3);
}

#[tokio::test]
async fn what_was_there_before_the_trigger_can_be_deleted() {
    let database = crate::support::database().await;
    let pool = &database.pool;
    run(pool, TABLE).await;
    run(pool, "insert into rentals values ('', 'eu'), (repeat('x', 3000), 'eu'), ('b', '')").await;
    super::register(pool, json!([model()])).await;
    super::install(pool).await;
    run(pool, "delete from rentals where code <> 'b'").await;
    assert_eq!(events(pool).await, [""; 0]);
    run(pool, "delete from rentals").await;
    assert_eq!(super::rows(pool).await, [r#"Rental:b rental_destroyed - {"links":{},"code":"b"}"#]);
}
