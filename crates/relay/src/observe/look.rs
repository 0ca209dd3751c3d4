//! Looking up what waits, beside the pump.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dionysus_postgres::waiting;
use dionysus_service::ask_in_rounds;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{Observer, gauge};
use crate::error::Chain;

/// Rows that a look reads at most: milliseconds.
const ROWS: u32 = 10_000;

/// Places that are looked behind in one round at most; the others come in the next. Lanes that flow stand at one place.
const PLACES: usize = 16;

/// A round must not hold a connection of the pump's for long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks until dropped; returns at once if nobody wants to know.
pub(crate) async fn look(pool: PgPool, observer: Arc<Observer>) {
    let Some(limits) = observer.limits.get().copied() else { return };
    let ask = async || {
        if tokio::time::timeout(PATIENCE, round(&pool, &observer)).await.is_err() {
            tracing::debug!("Postgres did not say in time what waits");
        }
    };
    let show = || observer.meters.ready.set(gauge(usize::from(observer.judge(&limits).is_good())));
    ask_in_rounds(limits, ask, show).await;
}

async fn round(pool: &PgPool, observer: &Observer) {
    let mut places = observer.view().places();
    places.truncate(PLACES);
    if places.is_empty() {
        // Nothing to ask; the heartbeat knows whether Postgres answers.
        observer.view().looked = Instant::now();
    }
    for (cursor, topics) in places {
        let asked: DateTime<Utc> = Utc::now();
        match waiting::look(pool, &cursor, ROWS).await {
            Ok(look) => {
                observer.learn_skew(look.now, asked, Utc::now());
                observer.view().looked(&topics, &look, Instant::now());
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "what waits is not known");
                return;
            }
        }
    }
}

impl Observer {
    /// The database has read its clock somewhere between the question and the answer.
    fn learn_skew(&self, database: DateTime<Utc>, asked: DateTime<Utc>, answered: DateTime<Utc>) {
        let here = asked + (answered - asked) / 2;
        let skew_us = (database - here).num_microseconds().unwrap_or(0);
        self.skew_us.store(skew_us, Ordering::Relaxed);
    }
}
