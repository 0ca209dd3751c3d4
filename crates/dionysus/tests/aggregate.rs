//! An aggregate as an application reads it with sqlx: links from its own statement, parts attached.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use dionysus::{EncodeError, HasPart, JsonWriter, Part, Publishable};
use dionysus_embedded::testing;
use sqlx::FromRow;

#[derive(FromRow, Publishable)]
#[publishable(table = "bookings")]
struct Booking {
    id: i64,
    #[publishable(link = "account")]
    account_id: Option<i64>,
    #[publishable(links = "guests")]
    guest_ids: Vec<i64>,
    #[sqlx(skip)]
    #[publishable(part)]
    fees: Part<Vec<Fee>>,
}

#[derive(FromRow, Publishable)]
#[publishable(table = "fees")]
struct Fee {
    id: i64,
    #[publishable(link = "booking")]
    booking_id: i64,
}

fn written(booking: &Booking) -> Result<String, EncodeError> {
    let mut out = JsonWriter::new();
    booking.write_snapshot_with(<Booking as HasPart<Fee>>::NAMES, &mut out);
    Ok(String::from_utf8(out.finish()?).unwrap())
}

#[tokio::test]
async fn a_part_is_not_read_with_its_root_and_never_taken_for_empty() {
    let database = testing::database().await;
    sqlx::raw_sql(
        "create table bookings (id bigint primary key, account_id bigint);
        create table guests (id bigint primary key, booking_id bigint);
        create table fees (id bigint primary key, booking_id bigint);
        insert into bookings values (1, 7);
        insert into guests values (4, 1), (3, 1);
        insert into fees values (12, 1), (11, 1)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let mut booking: Booking = sqlx::query_as(
        "select *, array(select g.id from guests g where g.booking_id = b.id order by g.id) guest_ids from bookings b",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(written(&booking).unwrap_err().attribute, "fees");

    let fees = sqlx::query_as("select * from fees order by id").fetch_all(&database.pool).await;
    booking.attach("fees", fees.unwrap());
    assert_eq!(
        written(&booking).unwrap(),
        concat!(
            r#"{"id":1,"links":{"account":7,"guests":[3,4],"fees":[11,12]},"#,
            r#""fees":[{"id":11,"links":{"booking":1}},{"id":12,"links":{"booking":1}}]}"#
        )
    );
}
