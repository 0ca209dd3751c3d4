//! The consumer: what it is told, and its life.

use std::sync::Arc;
use std::time::Duration;

use dionysus_core::ReplicaMapping;
use dionysus_kafka::{ClientConfig, Subscriber, SubscriberOptions};
use dionysus_postgres::schema;
use dionysus_service::HealthLimits;
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::builder::ConsumerBuilder;
use crate::check;
use crate::error::Error;
use crate::observe::{ConsumerHealth, Observer};
use crate::progress::{Progress, Report, State};
use crate::session::Session;
use crate::worker::Shared;

/// How often to look whether a newer program has migrated the schema.
const SCHEMA_WATCH: Duration = Duration::from_secs(10);

/// Folds topics into replica tables.
///
/// ```no_run
/// # async fn f(pool: sqlx::PgPool, cancel: tokio_util::sync::CancellationToken) -> Result<(), dionysus_consumer::Error> {
/// use dionysus_consumer::{ClientConfig, Consumer, ReplicaMapping};
///
/// let mut rental = ReplicaMapping::new("Rental", "rentals");
/// rental.synced_data = Some("synced_data".into());
/// let consumer = Consumer::builder(pool, ClientConfig::new("localhost:9092"))
///     .group("bookings")
///     .topic("v3_rentals", [rental])
///     .build()?;
/// consumer.run(cancel).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer {
    pub(crate) pool: PgPool,
    pub(crate) client: ClientConfig,
    pub(crate) options: SubscriberOptions,
    pub(crate) topics: Vec<(String, Vec<ReplicaMapping>)>,
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) state: watch::Sender<State>,
    pub(crate) observer: Arc<Observer>,
}

impl Consumer {
    /// Begins to describe a consumer: where its replicas live, and where Kafka is.
    pub fn builder(pool: PgPool, client: ClientConfig) -> ConsumerBuilder {
        ConsumerBuilder::new(pool, client)
    }

    /// A view of how far it is; take it before [`run`](Self::run).
    pub fn progress(&self) -> Progress {
        Progress::new(self.state.subscribe())
    }

    /// A view of its health; take it before [`run`](Self::run). While somebody has one, the brokers are asked every few seconds (a third of
    /// `unready_after`, at most 10 s) where the logs end.
    pub fn health(&self, limits: HealthLimits) -> ConsumerHealth {
        ConsumerHealth::new(Arc::clone(&self.observer), limits)
    }

    /// Looks at the database as [`run`](Self::run) does first, and reads nothing: schema, tables, columns, indexes, rights.
    ///
    /// # Errors
    /// [`Error::Database`]: the database can't be reached, or lacks the schema `dionysus`. [`Error::Replicas`]: everything that is wrong with the tables.
    pub async fn check(&self) -> Result<(), Error> {
        schema::check(&self.pool).await?;
        check::routes(&self.pool, &self.topics).await.map(drop)
    }

    /// Applies messages until cancelled; then ends the transactions in flight, leaves the group and says what was done.
    ///
    /// Faults of one partition (a message that can't be decoded or written, an offset outside the log) stop that partition alone: they are logged, shown by
    /// [`Progress`], and tried again with growing waits up to 30 s. Outages of Kafka and Postgres are waited for.
    ///
    /// # Errors
    /// As [`check`](Self::check), before anything is read; [`Error::Kafka`] if no client can be made. At any time [`Error::Database`]: a newer program has
    /// migrated the schema in a way that breaks this one.
    ///
    /// # Cancel safety
    /// Dropping the future rolls back what is in flight; nothing is lost, since progress commits with its effect. Cancel the token to end in good order.
    pub async fn run(self, cancel: CancellationToken) -> Result<Report, Error> {
        let shared = Arc::new(self.shared().await?);
        let stop = cancel.child_token();
        let mut sessions = Box::pin(self.sessions(&shared, &stop));
        // A migration that breaks this program stops it as a signal would, and is then the error.
        tokio::select! {
            ended = &mut sessions => ended,
            misfit = schema::misfit(&shared.pool, SCHEMA_WATCH) => {
                stop.cancel();
                sessions.await?;
                Err(misfit.into())
            }
        }
    }

    /// One membership in the group after the other.
    async fn sessions(
        &self,
        shared: &Arc<Shared>,
        cancel: &CancellationToken,
    ) -> Result<Report, Error> {
        let names: Vec<String> = self.topics.iter().map(|(topic, _)| topic.clone()).collect();
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        loop {
            self.observer.turn();
            let subscriber = Subscriber::new(&self.client, &self.options)?;
            subscriber.subscribe(&names)?;
            let session = Session::new(Arc::clone(shared), subscriber, self.batch_bytes);
            match session.run(cancel).await {
                Ok(()) => return Ok(shared.state.borrow().report),
                Err(error) => tracing::error!(error = %error.line(), "kafka client is made anew"),
            }
            self.observer.turn();
            if cancel.run_until_cancelled(sleep(backoff.wait())).await.is_none() {
                return Ok(shared.state.borrow().report);
            }
        }
    }

    /// Checks everything, and makes what its workers share.
    pub(crate) async fn shared(&self) -> Result<Shared, Error> {
        schema::check(&self.pool).await?;
        let routes = check::routes(&self.pool, &self.topics).await?;
        let turns = usize::try_from(self.pool.options().get_max_connections()).unwrap_or(1).max(1);
        Ok(Shared {
            pool: self.pool.clone(),
            group: self.options.group.clone(),
            routes,
            batch_records: self.batch_records,
            turns: Semaphore::new(turns),
            state: self.state.clone(),
            observer: Arc::clone(&self.observer),
        })
    }
}
