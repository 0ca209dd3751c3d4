//! A relay retires what it has published.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dionysus::{Outbox, Relay, RelayOptions, Topology};
use dionysus_e2e::{figure, read_log};
use dionysus_embedded::testing;
use dionysus_testing::TestDatabase;
use sqlx::{query, query_scalar, raw_sql};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::models::Rental;

const ROWS: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_published_day_that_is_old_enough_is_gone_within_a_round() -> Result<()> {
    let database = TestDatabase::new().await;
    let (brokers, namespace) = (testing::brokers().await, testing::topic("v3"));
    let topic = format!("{namespace}_rentals");
    // Its only lane: an idle one would hold the day until 10,000 transactions have passed it.
    let topology = Topology::builder()
        .namespace(&*namespace, |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
        .build()?;
    Outbox::connect(database.pool.clone(), topology).await?;
    raw_sql(
        "create table dionysus.outbox_old (like dionysus.outbox including all);
         alter table dionysus.outbox attach partition dionysus.outbox_old
             for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00')",
    )
    .execute(&database.pool)
    .await?;
    query(
        "insert into dionysus.outbox (created_at, event_id, topic, key, event, model, model_id, payload)
         select '2020-01-01 12:00:00+00', gen_random_uuid(), $1, 'Rental:' || n, 'rental_updated', 'Rental', n::text, '{}'
         from generate_series(1, $2) as n",
    )
    .bind(&topic)
    .bind(ROWS)
    .execute(&database.pool)
    .await?;
    let options =
        RelayOptions { retention: Some(Duration::from_mins(1)), ..RelayOptions::default() };
    let relay = Relay::new(database.url.parse()?, &brokers, options)?;
    let (mut figures, stop) = (relay.retention(), CancellationToken::new());
    let relay = tokio::spawn(relay.run(stop.clone()));
    // Another test's open transaction may hold the first round up, and the next comes a minute later.
    let retired = timeout(Duration::from_mins(4), figures.wait_for(|now| now.leaves_truncated > 0));
    let retired = retired.await.context("nothing was retired")??.clone();
    figure(format_args!(
        "retired: {} leaves, {} rows",
        retired.leaves_truncated, retired.rows_retired
    ));
    stop.cancel();
    relay.await??;
    ensure!(read_log(&brokers, &topic).await?.len() == usize::try_from(ROWS)?);
    let left: i64 =
        query_scalar("select count(*) from dionysus.outbox").fetch_one(&database.pool).await?;
    ensure!(left == 0, "{left} rows are left");
    Ok(())
}
