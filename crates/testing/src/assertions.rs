//! The assertions: macros, so that a failure points to the line of the test, over functions that decide.

use crate::{Enqueued, EnqueuedEvent, Error, Expected, ReadOutbox, failure};

/// Asserts that an event like this is in the outbox; gives the first such [`EnqueuedEvent`].
///
/// First where to read (see [`ReadOutbox`]), then the event's name if it matters, then what else does, by the names of [`Expected`]'s methods:
/// `key`, `id`, `model`, `topic`, `partition_key`, `data`, `links`, `headers`, `tombstone`, and `count` for an exact number of such events. `data`,
/// `links` and `headers` may hold more than is expected.
///
/// It awaits inside, so it stands in an `async` function, and can't be forgotten to be awaited.
///
/// # Panics
/// Without such an event: the message compares the closest ones attribute by attribute. It shows payloads, on purpose.
///
/// # Examples
/// ```
/// # use dionysus_testing::{Enqueued, TestDatabase, assert_enqueued};
/// # use serde_json::json;
/// # async fn test(database: TestDatabase, mut tx: sqlx::PgTransaction<'_>) {
/// assert_enqueued!(&database, "rental_created", key = "Rental:1", data = json!({"name": "Villa"}));
/// assert_enqueued!(&mut tx, "booking_updated", id = 7, links = json!({"rental": 1}), count = 1);
/// # }
/// ```
#[macro_export]
macro_rules! assert_enqueued {
    ($outbox:expr, $($expected:tt)+) => {
        match $crate::__private::require($outbox, &$crate::expected!($($expected)+)).await {
            Ok(event) => event,
            Err(failure) => ::core::panic!("{failure}"),
        }
    };
}

/// Asserts that no event like this is in the outbox, or, with nothing but where to read, no event at all.
///
/// It takes what [`assert_enqueued!`](crate::assert_enqueued) takes, but for `count`.
///
/// # Panics
/// With such an event: the message shows it.
///
/// # Examples
/// ```
/// # use dionysus_testing::{TestDatabase, refute_enqueued};
/// # async fn test(database: TestDatabase) {
/// refute_enqueued!(&database, "rental_destroyed", id = 1);
/// refute_enqueued!(&database);
/// # }
/// ```
#[macro_export]
macro_rules! refute_enqueued {
    ($outbox:expr $(, $($refuted:tt)*)?) => {
        match $crate::__private::refuse($outbox, &$crate::expected!($($($refuted)*)?)).await {
            Ok(()) => (),
            Err(failure) => ::core::panic!("{failure}"),
        }
    };
}

/// Asserts that events like these are in the outbox, in this order; others may stand between them. Gives them, as a `Vec` of
/// [`EnqueuedEvent`].
///
/// # Panics
/// When one of them is not there behind the one before: the message compares what is.
///
/// # Examples
/// ```
/// # use dionysus_testing::{TestDatabase, assert_enqueued_in_order};
/// # use serde_json::json;
/// # async fn test(database: TestDatabase) {
/// assert_enqueued_in_order!(&database, [
///     ("rental_created", id = 1),
///     ("rental_updated", id = 1, data = json!({"name": "Villa"})),
/// ]);
/// # }
/// ```
#[macro_export]
macro_rules! assert_enqueued_in_order {
    ($outbox:expr, [$(($($expected:tt)*)),* $(,)?] $(,)?) => {
        match $crate::__private::require_in_order($outbox, &[$($crate::expected!($($expected)*)),*]).await {
            Ok(events) => events,
            Err(failure) => ::core::panic!("{failure}"),
        }
    };
}

/// Asserts that the outbox holds events like these, in this order, and no other. Gives them, as a `Vec` of [`EnqueuedEvent`].
///
/// [`Enqueued::since`] leaves out what an earlier part of the test enqueued.
///
/// # Panics
/// When there are more, fewer or others: the message compares them one by one.
///
/// # Examples
/// ```
/// # use dionysus_testing::{TestDatabase, assert_enqueued_exactly};
/// # async fn test(database: TestDatabase) {
/// let before = database.enqueued().await;
/// // what is tested
/// let enqueued = database.enqueued().await.since(&before);
/// assert_enqueued_exactly!(&enqueued, [("rental_updated", id = 1), ("booking_created", topic = "v3_bookings")]);
/// # }
/// ```
#[macro_export]
macro_rules! assert_enqueued_exactly {
    ($outbox:expr, [$(($($expected:tt)*)),* $(,)?] $(,)?) => {
        match $crate::__private::require_exactly($outbox, &[$($crate::expected!($($expected)*)),*]).await {
            Ok(events) => events,
            Err(failure) => ::core::panic!("{failure}"),
        }
    };
}

/// An [`Expected`], as the assertions take it: the event's name first, if it matters, then `name = value` pairs.
///
/// # Examples
/// ```
/// use dionysus_testing::{Expected, expected};
///
/// let rental = expected!("rental_created", id = 1, topic = "v3_rentals");
/// assert_eq!(rental, Expected::new().event("rental_created").id(1).topic("v3_rentals"));
/// ```
#[macro_export]
macro_rules! expected {
    ($($name:ident = $value:expr),* $(,)?) => { $crate::Expected::new()$(.$name($value))* };
    ($event:expr $(, $name:ident = $value:expr)* $(,)?) => { $crate::Expected::new().event($event)$(.$name($value))* };
}

/// Reads, and requires an event, or so many.
///
/// # Errors
/// What the failed assertion says.
pub async fn require(
    outbox: impl ReadOutbox,
    expected: &Expected,
) -> Result<EnqueuedEvent, String> {
    one_of(&read(outbox).await?, expected)
}

/// Reads, and refuses every such event.
///
/// # Errors
/// What the failed assertion says.
pub async fn refuse(outbox: impl ReadOutbox, refuted: &Expected) -> Result<(), String> {
    none_of(&read(outbox).await?, refuted)
}

/// Reads, and requires events in this order.
///
/// # Errors
/// What the failed assertion says.
pub async fn require_in_order(
    outbox: impl ReadOutbox,
    expected: &[Expected],
) -> Result<Vec<EnqueuedEvent>, String> {
    in_order(&read(outbox).await?, expected)
}

/// Reads, and requires these events and no others.
///
/// # Errors
/// What the failed assertion says.
pub async fn require_exactly(
    outbox: impl ReadOutbox,
    expected: &[Expected],
) -> Result<Vec<EnqueuedEvent>, String> {
    exactly(&read(outbox).await?, expected)
}

async fn read(outbox: impl ReadOutbox) -> Result<Enqueued, String> {
    outbox.read_outbox().await.map_err(|error: Error| error.explained())
}

fn one_of(enqueued: &Enqueued, expected: &Expected) -> Result<EnqueuedEvent, String> {
    let matching: Vec<_> = enqueued.iter().filter(|event| expected.matches(event)).collect();
    match (matching.as_slice(), expected.count) {
        (_, Some(0)) => {
            Err("no event is asserted with `refute_enqueued!`, not with count = 0".to_owned())
        }
        ([], _) => Err(failure::none(expected, enqueued)),
        (found, Some(count)) if found.len() != count => {
            Err(failure::wrong_count(expected, count, found, enqueued))
        }
        ([first, ..], _) => Ok((*first).clone()),
    }
}

fn none_of(enqueued: &Enqueued, refuted: &Expected) -> Result<(), String> {
    without_counts(std::slice::from_ref(refuted))?;
    let matching: Vec<_> = enqueued.iter().filter(|event| refuted.matches(event)).collect();
    if matching.is_empty() { Ok(()) } else { Err(failure::refused(refuted, &matching)) }
}

fn in_order(enqueued: &Enqueued, expected: &[Expected]) -> Result<Vec<EnqueuedEvent>, String> {
    without_counts(expected)?;
    let mut rest = enqueued.iter();
    let mut found: Vec<EnqueuedEvent> = Vec::new();
    for (at, expected) in expected.iter().enumerate() {
        // The earliest will do: a later one would leave no more room for those that follow.
        match rest.find(|event| expected.matches(event)) {
            Some(event) => found.push(event.clone()),
            None => return Err(failure::out_of_order(at, expected, found.last(), enqueued)),
        }
    }
    Ok(found)
}

fn exactly(enqueued: &Enqueued, expected: &[Expected]) -> Result<Vec<EnqueuedEvent>, String> {
    without_counts(expected)?;
    let met = enqueued.len() == expected.len()
        && enqueued.iter().zip(expected).all(|(event, expected)| expected.matches(event));
    if met { Ok(enqueued.to_vec()) } else { Err(failure::not_exactly(expected, enqueued)) }
}

fn without_counts(expected: &[Expected]) -> Result<(), String> {
    if expected.iter().any(|expected| expected.count.is_some()) {
        return Err("`count` is for `assert_enqueued!` alone".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
