//! The table of spec §5.3, row by row: statements are run, and the states that they leave are compared.

use chrono::{DateTime, Utc};
use dionysus_core::{AttributeInfo, JsonWriter};
use dionysus_derive::Publishable;
use dionysus_producer::{Outbox, Publishable, Topology};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow};

use crate::fixture::*;

/// A rental whose soft deletes are not on the wire.
#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Discreet", table = "rentals")]
struct Discreet {
    id: i64,
    #[publishable(hidden)]
    account_id: Option<i64>,
    name: String,
    #[publishable(hidden)]
    canceled_at: Option<DateTime<Utc>>,
}

/// A rental that can't be soft-deleted: its `canceled_at` is an attribute like any other.
#[derive(FromRow, Publishable)]
#[publishable(crate = "dionysus_core", model = "Lasting", table = "rentals", soft_delete = false)]
struct Lasting {
    id: i64,
    name: String,
    canceled_at: Option<DateTime<Utc>>,
}

/// A rental whose updates are published when it is soft-deleted, too.
struct Watched(Rental);

impl<'r> FromRow<'r, PgRow> for Watched {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Rental::from_row(row).map(Self)
    }
}

impl Publishable for Watched {
    const MODEL: &'static str = "Watched";
    const TABLE: &'static str = Rental::TABLE;
    const PRIMARY_KEY: &'static str = Rental::PRIMARY_KEY;
    const ATTRIBUTES: &'static [AttributeInfo] = Rental::ATTRIBUTES;
    const SOFT_DELETE: Option<&'static str> = Rental::SOFT_DELETE;
    const PARTITION_KEY: Option<&'static str> = None;
    const UPDATES_AFTER_SOFT_DELETE: bool = true;

    fn id(&self) -> String {
        self.0.id()
    }

    fn partition_key_of(&self, attribute: &str) -> Option<Option<String>> {
        self.0.partition_key_of(attribute)
    }

    fn soft_deleted(&self) -> bool {
        self.0.soft_deleted()
    }

    fn write_snapshot(&self, out: &mut JsonWriter) {
        self.0.write_snapshot(out);
    }

    fn write_destroyed(&self, out: &mut JsonWriter) {
        self.0.write_destroyed(out);
    }
}

async fn models() -> (dionysus_embedded::testing::Database, Outbox) {
    let database = migrated().await;
    let topology = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("rentals", |t| {
                t.publish::<Rental>()
                    .publish::<Watched>()
                    .publish::<Discreet>()
                    .publish::<Lasting>()
            })
        })
        .build()
        .unwrap();
    let outbox = Outbox::connect(database.pool.clone(), topology).await.unwrap();
    (database, outbox)
}

/// Runs statements on rental 1 in one transaction each, and stages its states; a statement may change it to rental 2. Gives the rows of the last.
async fn run<M>(outbox: &Outbox, statements: &[&str]) -> Vec<Row>
where
    M: Publishable + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static,
{
    let state = "select * from rentals where id in (1, 2) for update";
    execute(outbox.pool(), "truncate rentals").await;
    for statement in statements {
        execute(outbox.pool(), "delete from dionysus.outbox").await;
        let mut tx = outbox.begin().await.unwrap();
        let before: Option<M> = sqlx::query_as(state).fetch_optional(&mut *tx).await.unwrap();
        sqlx::query(AssertSqlSafe((*statement).to_owned())).execute(&mut *tx).await.unwrap();
        let after: Option<M> = sqlx::query_as(state).fetch_optional(&mut *tx).await.unwrap();
        tx.changed(before.as_ref(), after.as_ref()).unwrap();
        tx.commit().await.unwrap();
    }
    rows(outbox.pool()).await
}

const LIVE: &str = "insert into rentals values (1, 7, 'a', null)";
const CANCELED: &str = "insert into rentals values (1, 7, 'a', '2024-01-15T10:00:00.5Z')";
const RENAME: &str = "update rentals set name = 'b'";
const SAME: &str = "update rentals set name = name, canceled_at = canceled_at";
const CANCEL: &str = "update rentals set canceled_at = '2024-02-01T00:00:00Z'";
const RESTORE: &str = "update rentals set canceled_at = null";
const DELETE: &str = "delete from rentals";

/// The end of a message with these attributes.
fn whole(name: &str, canceled_at: &str) -> String {
    format!(
        r#""data":[{{"id":1,"account_id":7,"name":"{name}","canceled_at":{canceled_at},"links":{{}}}}]}}]}}"#
    )
}

const ID_ALONE: &str = r#""data":[{"links":{},"id":1}]}]}"#;
const JANUARY: &str = "\"2024-01-15T10:00:00.500Z\"";
const FEBRUARY: &str = "\"2024-02-01T00:00:00.000Z\"";

/// What it is, the statements, and the last one's event with the end of its message.
type Case<'a> = (&'a str, &'a [&'a str], Option<(&'a str, String)>);

async fn check<M>(outbox: &Outbox, cases: &[Case<'_>])
where
    M: Publishable + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static,
{
    for (what, statements, expected) in cases {
        let found = run::<M>(outbox, statements).await;
        match (found.as_slice(), expected) {
            ([], None) => {}
            ([row], Some((event, data))) => {
                assert_eq!(row.event, *event, "{what}");
                assert!(row.payload.ends_with(data), "{what}: {}", row.payload);
                assert_eq!(row.partition_key.as_deref(), Some("7"), "{what}");
            }
            _ => panic!("{what}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn each_transition_gives_the_event_of_the_table() {
    let (_database, outbox) = models().await;
    let created = |data| Some(("rental_created", data));
    let updated = |data| Some(("rental_updated", data));
    let destroyed = |data| Some(("rental_destroyed", data));
    check::<Rental>(
        &outbox,
        &[
            ("nothing stays nothing", &[RENAME], None),
            ("create", &[LIVE], created(whole("a", "null"))),
            ("create, soft-deleted already", &[CANCELED], created(whole("a", JANUARY))),
            ("update without a change", &[LIVE, SAME], None),
            ("update, visible", &[LIVE, RENAME], updated(whole("b", "null"))),
            ("update, soft-deleted", &[CANCELED, RENAME], None),
            ("update without a change, soft-deleted", &[CANCELED, SAME], None),
            ("null to set", &[LIVE, CANCEL], destroyed(whole("a", FEBRUARY))),
            (
                "null to set, with another change",
                &[LIVE, "update rentals set name = 'b', canceled_at = '2024-02-01T00:00:00Z'"],
                destroyed(whole("b", FEBRUARY)),
            ),
            ("set to another value", &[CANCELED, CANCEL], destroyed(whole("a", FEBRUARY))),
            (
                "set to another value, with another change",
                &[CANCELED, "update rentals set name = 'b', canceled_at = '2024-02-01T00:00:00Z'"],
                destroyed(whole("b", FEBRUARY)),
            ),
            ("restore", &[CANCELED, RESTORE], created(whole("a", "null"))),
            (
                "restore after an update that nobody saw",
                &[CANCELED, RENAME, RESTORE],
                created(whole("b", "null")),
            ),
            ("null to null", &[LIVE, RESTORE], None),
            ("hard destroy", &[LIVE, DELETE], destroyed(ID_ALONE.to_owned())),
            ("hard destroy, soft-deleted", &[CANCELED, DELETE], destroyed(ID_ALONE.to_owned())),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_model_may_publish_its_updates_after_a_soft_delete() {
    let (_database, outbox) = models().await;
    let updated = |data| Some(("watched_updated", data));
    check::<Watched>(
        &outbox,
        &[
            ("update, soft-deleted", &[CANCELED, RENAME], updated(whole("b", JANUARY))),
            ("update without a change, soft-deleted", &[CANCELED, SAME], None),
            (
                "set to another value all the same",
                &[CANCELED, CANCEL],
                Some(("watched_destroyed", whole("a", FEBRUARY))),
            ),
            ("update, visible", &[LIVE, RENAME], updated(whole("b", "null"))),
        ],
    )
    .await;
    let published = outbox.topology().topic("v3_rentals").unwrap();
    let watched = |model| published.model(model).unwrap().updates_after_soft_delete();
    assert_eq!((watched("Watched"), watched("Rental")), (true, false));
}

#[tokio::test]
async fn a_model_that_is_not_soft_deleted_is_updated() {
    let (_database, outbox) = models().await;
    for change in [CANCEL, RESTORE, RENAME] {
        let [row] = run::<Lasting>(&outbox, &[CANCELED, change]).await.try_into().unwrap();
        assert_eq!(row.event, "lasting_updated", "{change}");
    }
    assert_eq!(run::<Lasting>(&outbox, &[CANCELED, SAME]).await, []);
}

#[tokio::test]
async fn a_hidden_column_decides_as_a_published_one_does() {
    let (_database, outbox) = models().await;
    for (statements, event) in [
        ([LIVE, CANCEL], Some("discreet_destroyed")),
        ([CANCELED, CANCEL], Some("discreet_destroyed")),
        ([CANCELED, RESTORE], Some("discreet_created")),
        ([CANCELED, RENAME], None),
        // The partition key, and nothing else that is published.
        ([LIVE, "update rentals set account_id = 8"], Some("discreet_updated")),
        ([LIVE, SAME], None),
    ] {
        let rows = run::<Discreet>(&outbox, &statements).await;
        let events: Vec<_> = rows.iter().map(|row| row.event.as_str()).collect();
        assert_eq!(events, event.into_iter().collect::<Vec<_>>(), "{statements:?}");
    }
}

#[tokio::test]
async fn a_new_primary_key_ends_the_old_instance_and_begins_another() {
    let (database, outbox) = models().await;
    run::<Rental>(&outbox, &[LIVE, "update rentals set id = 2, account_id = 8"]).await;
    let rows = rows(&database.pool).await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.key.as_str(), row.event.as_str(), row.partition_key.as_deref()))
        .collect();
    assert_eq!(
        found,
        [("Rental:1", "rental_destroyed", Some("7")), ("Rental:2", "rental_created", Some("8"))]
    );
    assert!(rows[0].payload.ends_with(ID_ALONE));
}

#[tokio::test]
async fn an_update_that_nobody_sees_renews_the_snapshot_of_its_transactions_event() {
    let (database, outbox) = outbox().await;
    let canceled = |id, name| Rental {
        canceled_at: Some("2024-02-01T00:00:00Z".parse().unwrap()),
        ..rental(id, name)
    };
    let mut tx = outbox.begin().await.unwrap();
    tx.changed(Some(&rental(1, "a")), Some(&canceled(1, "a"))).unwrap();
    tx.changed(Some(&canceled(1, "a")), Some(&canceled(1, "b"))).unwrap();
    tx.changed(Some(&canceled(2, "a")), Some(&canceled(2, "b"))).unwrap();
    let mut savepoint = tx.savepoint().await.unwrap();
    savepoint.changed(Some(&canceled(1, "b")), Some(&canceled(1, "c"))).unwrap();
    assert_eq!(savepoint.staged(), 0);
    savepoint.commit().await.unwrap();
    assert_eq!(tx.staged(), 1);
    tx.commit().await.unwrap();
    let [row] = rows(&database.pool).await.try_into().unwrap();
    assert_eq!(row.event, "rental_destroyed");
    assert!(row.payload.ends_with(&whole("c", FEBRUARY)), "{}", row.payload);
}

#[tokio::test]
async fn a_transaction_of_updates_that_nobody_sees_writes_nothing_and_is_not_missed() {
    let database = migrated().await;
    let options = dionysus_producer::OutboxOptions::new().panic_on_dropped_stage(true);
    let outbox = connect(&database.pool, options).await;
    let canceled = |name| Rental {
        canceled_at: Some("2024-02-01T00:00:00Z".parse().unwrap()),
        ..rental(1, name)
    };
    let mut tx = outbox.begin().await.unwrap();
    tx.changed(Some(&canceled("a")), Some(&canceled("b"))).unwrap();
    drop(tx);
    let mut tx = outbox.begin().await.unwrap();
    tx.changed(Some(&canceled("a")), Some(&canceled("b"))).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rows(&database.pool).await, []);
}
