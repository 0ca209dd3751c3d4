//! The macros, wherever an outbox can be read. What they say is tested beside them.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

use dionysus_testing::{
    Enqueued, assert_enqueued, assert_enqueued_exactly, assert_enqueued_in_order, refute_enqueued,
};
use serde_json::json;

use crate::fixture::{Rental, application, create, destroy, rename};

#[tokio::test]
async fn what_is_committed_is_asserted_on_by_database_pool_and_outbox() {
    let (database, outbox) = application().await;
    refute_enqueued!(&database);
    let rental = create(&outbox, "Villa").await;
    rename(&outbox, rental.id, "Cabin").await;
    let event = assert_enqueued!(
        &database,
        "rental_created",
        key = "Rental:1",
        topic = "v3_rentals",
        partition_key = 7,
        data = json!({"name": "Villa"}),
        count = 1,
    );
    assert_eq!((event.model_id.as_str(), event.data()["id"].as_i64()), ("1", Some(1)));
    assert_enqueued!(&database.pool, "rental_updated", id = rental.id, links = json!({}));
    assert_enqueued!(&outbox, model = "Rental", count = 2);
    refute_enqueued!(&outbox, "rental_destroyed");
    let expected = "rental_updated";
    let events = assert_enqueued_in_order!(&database, [("rental_created"), (expected, id = 1)]);
    assert!(events[0].seq < events[1].seq);
}

#[tokio::test]
async fn what_a_part_of_a_test_enqueued_is_asserted_on_alone() {
    let (database, outbox) = application().await;
    let rental = create(&outbox, "Villa").await;
    let before = database.enqueued().await;
    destroy(&outbox, rental.id).await;
    let enqueued = database.enqueued().await.since(&before);
    let rows = assert_enqueued_exactly!(&enqueued, [("rental_destroyed", tombstone = false)]);
    assert_eq!(*rows[0].data(), json!({"links": {}, "id": 1}));
    assert_enqueued_exactly!(&database, [("rental_created"), ("rental_destroyed")]);
}

#[tokio::test]
async fn an_open_transaction_is_asserted_on_and_nobody_else_sees_it() {
    let (database, outbox) = application().await;
    let rental = Rental { id: 1, account_id: None, name: "Villa".into() };
    let mut own = database.pool.begin().await.unwrap();
    let mut tx = outbox.begin_on(&mut own).await.unwrap();
    tx.created(&rental).unwrap();
    refute_enqueued!(&mut tx);
    tx.commit().await.unwrap();
    assert_enqueued!(&mut own, "rental_created", data = json!({"account_id": null}));
    assert_enqueued!(&mut *own, "rental_created");
    refute_enqueued!(&database);
    own.rollback().await.unwrap();
    refute_enqueued!(&database);
}

#[tokio::test]
async fn a_tombstone_and_a_captured_row_are_what_they_will_publish() {
    let (database, outbox) = application().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.tombstone(&Rental { id: 1, account_id: None, name: "Villa".into() }).unwrap();
    tx.commit().await.unwrap();
    let insert = "insert into dionysus.outbox (event_id, topic, key, event, model, model_id, capture)
                  values (gen_random_uuid(), 'v3_rentals', 'Rental:2', 'rental_created', 'Rental', '2', $1)";
    let capture = json!({
        "format": 1, "event": "rental_created", "model": "Rental",
        "attributes": [["id", "bigint", "2"], ["price", "numeric(12,2)", "10.50"]],
        "links": [["account", "bigint", "7", null, null]],
    });
    sqlx::query(insert).bind(capture).execute(&database.pool).await.unwrap();
    assert_enqueued!(&database, key = "Rental:1", tombstone = true, data = json!(null));
    let links = json!({"account": 7});
    assert_enqueued!(&database, "rental_created", data = json!({"price": "10.5"}), links = links);

    sqlx::query(insert).bind(json!({"format": 2})).execute(&database.pool).await.unwrap();
    let error = dionysus_testing::ReadOutbox::read_outbox(&database).await.unwrap_err();
    assert!(matches!(&error, dionysus_testing::Error::Capture { key, .. } if key == "Rental:2"));
    assert!(error.remedy().unwrap().contains("upgrade"), "{error}");
}

#[tokio::test]
async fn a_failure_before_the_commit_says_what_is_staged() {
    let (_database, outbox) = application().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&Rental { id: 1, account_id: None, name: "Villa".into() }).unwrap();
    let expected = dionysus_testing::expected!("rental_created");
    let failure = dionysus_testing::__private::require(&mut tx, &expected).await.unwrap_err();
    tx.rollback().await.unwrap();
    assert!(
        failure.ends_with("1 staged on this transaction: its commit writes them\n"),
        "{failure}"
    );
}

#[test]
fn a_failure_points_to_the_line_of_the_test() {
    let (here, seen) = (std::thread::current().id(), Arc::new(Mutex::new(None)));
    let (before, noted) = (Arc::new(panic::take_hook()), Arc::clone(&seen));
    let others = Arc::clone(&before);
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() != here {
            return others(info);
        }
        *noted.lock().unwrap() = info.location().map(|at| (at.file().to_owned(), at.line()));
    }));
    let nothing = Enqueued::default();
    let line = line!() + 2;
    let assertion = async {
        assert_enqueued!(&nothing, "rental_created");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(assertion)));
    panic::set_hook(Box::new(move |info| before(info)));
    let said = *outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(said.starts_with("no event in the outbox is as expected"), "{said}");
    let (file, at) = seen.lock().unwrap().take().unwrap();
    assert!(file.ends_with("assertions.rs") && at == line, "{file}:{at}");
}
