//! What the gem ships as a shared behaviour (spec §11): does the application publish a model's whole life?

use dionysus_core::{EventKind, Model, Publishable};

use crate::{Enqueued, EnqueuedEvent, TestDatabase};

/// Asserts that creating, updating and destroying an instance each enqueue their event for it: `rental_created`, `rental_updated`,
/// `rental_destroyed`.
///
/// `create` gives the instance that it made; `update` and `destroy` are given it. What they publish is not looked at, nor where.
///
/// # Panics
/// When a step enqueues no event of its kind for the instance, or one of another kind.
///
/// # Examples
/// ```
/// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
/// # #[publishable(crate = "dionysus_core", table = "rentals")]
/// # struct Rental { id: i64, name: String }
/// # async fn create(_: &dionysus_producer::Outbox) -> Rental { unimplemented!() }
/// # async fn rename(_: &dionysus_producer::Outbox, _: i64) { unimplemented!() }
/// # async fn delete(_: &dionysus_producer::Outbox, _: i64) { unimplemented!() }
/// # async fn test(database: dionysus_testing::TestDatabase, outbox: dionysus_producer::Outbox) {
/// dionysus_testing::assert_lifecycle_enqueued(
///     &database,
///     async || create(&outbox).await,
///     async |rental: &Rental| rename(&outbox, rental.id).await,
///     async |rental: &Rental| delete(&outbox, rental.id).await,
/// )
/// .await;
/// # }
/// ```
pub async fn assert_lifecycle_enqueued<M: Publishable>(
    database: &TestDatabase,
    create: impl AsyncFnOnce() -> M,
    update: impl AsyncFnOnce(&M),
    destroy: impl AsyncFnOnce(&M),
) {
    let mut seen = database.enqueued().await;
    let instance = create().await;
    enqueues(EventKind::Created, &instance, database, &mut seen).await;
    update(&instance).await;
    enqueues(EventKind::Updated, &instance, database, &mut seen).await;
    destroy(&instance).await;
    enqueues(EventKind::Destroyed, &instance, database, &mut seen).await;
}

/// Since `seen`, events of this kind for the instance, and of no other.
async fn enqueues<M: Publishable>(
    kind: EventKind,
    instance: &M,
    database: &TestDatabase,
    seen: &mut Enqueued,
) {
    let now = database.enqueued().await;
    let new = now.since(seen);
    let name = match Model::new(M::MODEL) {
        Ok(model) => model.event(kind),
        Err(error) => panic!("{error}"),
    };
    let id = instance.id();
    let own = |event: &&EnqueuedEvent| event.model == M::MODEL && event.model_id == id;
    let events: Vec<&str> = new.iter().filter(own).map(|event| event.event.as_str()).collect();
    assert!(
        !events.is_empty() && events.iter().all(|event| *event == name),
        "the step enqueues {events:?} for {} {id}, and should `{name}`; in the outbox since: {:?}",
        M::MODEL,
        new.summary()
    );
    *seen = now;
}
