//! The gem's shared behaviour.

use std::panic::AssertUnwindSafe;

use dionysus_testing::assert_lifecycle_enqueued;
use futures_util::FutureExt as _;

use crate::fixture::{Rental, application, create, destroy, rename};

#[tokio::test]
async fn a_model_whose_whole_life_is_published_passes() {
    let (database, outbox) = application().await;
    create(&outbox, "another").await;
    assert_lifecycle_enqueued(
        &database,
        async || create(&outbox, "Villa").await,
        async |rental: &Rental| rename(&outbox, rental.id, "Cabin").await,
        async |rental: &Rental| destroy(&outbox, rental.id).await,
    )
    .await;
}

#[tokio::test]
async fn a_step_that_enqueues_nothing_or_something_else_fails() {
    let (database, outbox) = application().await;
    let forgotten = assert_lifecycle_enqueued(
        &database,
        async || create(&outbox, "Villa").await,
        async |_: &Rental| drop(create(&outbox, "another").await),
        async |_: &Rental| (),
    );
    let wrong = assert_lifecycle_enqueued(
        &database,
        async || create(&outbox, "Villa").await,
        async |rental: &Rental| destroy(&outbox, rental.id).await,
        async |_: &Rental| (),
    );
    let forgotten = AssertUnwindSafe(forgotten).catch_unwind().await.unwrap_err();
    let wrong = AssertUnwindSafe(wrong).catch_unwind().await.unwrap_err();
    let said = |failure: Box<dyn std::any::Any + Send>| *failure.downcast::<String>().unwrap();
    let (forgotten, wrong) = (said(forgotten), said(wrong));
    assert!(
        forgotten.contains("enqueues [] for Rental 1, and should `rental_updated`"),
        "{forgotten}"
    );
    assert!(forgotten.contains("Rental:2 rental_created"), "{forgotten}");
    assert!(wrong.contains(r#"enqueues ["rental_destroyed"] for Rental 3"#), "{wrong}");
}
