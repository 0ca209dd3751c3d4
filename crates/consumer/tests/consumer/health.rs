//! Whether a consumer gets on, as whoever asks its health is told.

use std::time::Duration;

use dionysus_service::{Health, HealthLimits};

use crate::support::{run, updated, within, world};

/// A tenth of a threshold that makes sense.
const LIMITS: HealthLimits =
    HealthLimits { unready_after: Duration::from_secs(3), dead_after: Duration::from_mins(2) };

/// Waits until the reasons are such; it tells nobody when they change.
async fn reasons(health: &impl Health, such: impl Fn(&[String]) -> bool) -> Vec<String> {
    let changed = async {
        loop {
            let reasons = health.ready().reasons;
            if such(&reasons) {
                return reasons;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("such a health", changed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_stands_still_makes_the_consumer_unready_until_it_goes_on() {
    let world = world(1).await;
    let consumer = world.consumer();
    let health = consumer.health(LIMITS);
    let consumer = run(consumer);
    world.publish(&[updated(1, "before", 1)]).await;
    consumer.applied(&world.topic, 0, 1).await;
    // Idle for longer than the threshold: nothing waits, so nothing is wrong.
    tokio::time::sleep(LIMITS.unready_after + Duration::from_secs(1)).await;
    assert_eq!(health.ready().reasons, [""; 0], "{:#}", health.ready().detail);

    let bad = "{\"message\":1, \"secret\": \"hunter2\"}".to_owned();
    world.publish(&[(bad, Some(2), "1"), updated(1, "after", 3)]).await;
    let faulted = within("fault", consumer.progress.faulted(&world.topic, 0)).await.unwrap();
    let stuck = reasons(&health, |reasons| !reasons.is_empty()).await;
    assert_eq!(stuck.len(), 1, "{stuck:?}");
    assert!(stuck[0].starts_with(&format!("{}[0] stands still for ", world.topic)), "{stuck:?}");
    assert!(stuck[0].ends_with(&faulted), "{stuck:?}");
    assert!(!health.ready().detail.to_string().contains("hunter2"));
    assert!(health.alive().is_good());

    let statement = faulted[faulted.find("update dionysus").unwrap()..].trim_end_matches(')');
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&world.database.pool)
        .await
        .unwrap();
    consumer.applied(&world.topic, 0, 3).await;
    reasons(&health, <[String]>::is_empty).await;
    consumer.stop().await;
    assert_eq!(health.ready().reasons, ["shutting down"]);
}
