//! The relay as a component: options in, `run` until told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{Admin, ClientConfig};
use dionysus_postgres::{relays, schema};
use dionysus_service::HealthLimits;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::Chain;
use crate::locks::Locks;
use crate::membership::{Heart, Membership};
use crate::observe::{self, Observer, RelayHealth};
use crate::pump::{Ending, Pump, Session};
use crate::timeline::Timeline;
use crate::topics::Opener;
use crate::upkeep::{self, Retention};
use crate::wake_up::{self, Bells};
use crate::{Error, LeaseClock, RelayOptions, RelaySignals};

/// Heartbeat, checkpoint, listener, retention, and one for claims and partitions.
const CONNECTIONS: u32 = 5;

/// The wait before joining again after a lost lease or a failed start of a session.
const REJOIN: Duration = Duration::from_millis(500);

/// How often to look whether a newer program has migrated the schema; each session looks as well when it begins.
const SCHEMA_WATCH: Duration = Duration::from_secs(10);

/// Moves rows of the outbox to Kafka until told to stop. Many may run; they share the lanes.
#[derive(Debug)]
pub struct Relay {
    connect: PgConnectOptions,
    kafka: ClientConfig,
    options: Arc<RelayOptions>,
    signals: RelaySignals,
    bells: Bells,
    observer: Arc<Observer>,
    locks: Arc<Locks>,
    timeline: Timeline,
    retention: watch::Sender<Retention>,
    keeps_cursors: bool,
}

impl Relay {
    /// Checks the options; no I/O. `brokers` is a list of `host:port`, separated by commas. A recorder of the `metrics` facade, if you want one,
    /// must be installed before.
    ///
    /// # Errors
    /// [`Error::Options`] with all faults at once.
    pub fn new(
        connect: PgConnectOptions,
        brokers: &str,
        options: RelayOptions,
    ) -> Result<Self, Error> {
        options.validate()?;
        let kafka = ClientConfig {
            brokers: brokers.to_owned(),
            client_id: format!("outbox-relay:{}", options.name),
            properties: options.kafka_properties.clone().into_iter().collect::<BTreeMap<_, _>>(),
        };
        let (signals, bells) = (RelaySignals::default(), Bells::default());
        let observer = Arc::new(Observer::new());
        let locks = Arc::new(Locks::new(&options, Arc::clone(&observer))?);
        let (timeline, keep) = (Timeline::new(options.new_timeline), options.retention);
        Ok(Self {
            connect,
            kafka,
            options: Arc::new(options),
            signals,
            bells,
            observer,
            locks,
            timeline,
            retention: watch::Sender::new(Retention { keep, ..Retention::default() }),
            keeps_cursors: false,
        })
    }

    /// Breaks rule (b) of what survives a crash of Postgres: cursors in memory are kept over a lost connection. It loses rows, and
    /// exists so that the crash test can be seen to fail.
    #[doc(hidden)]
    #[must_use]
    pub fn keep_cursors_over_reconnects(mut self) -> Self {
        self.keeps_cursors = true;
        self
    }

    /// The moments that tests wait for.
    pub fn signals(&self) -> RelaySignals {
        self.signals.clone()
    }

    /// A view of its health; take it before [`run`](Self::run). While somebody has one, a bounded statement looks every few seconds (a third of
    /// `unready_after`, at most 10 s) for what waits.
    pub fn health(&self, limits: HealthLimits) -> RelayHealth {
        RelayHealth::new(Arc::clone(&self.observer), limits)
    }

    /// What retention has done and what it waits for; changes once a minute. Outlives the relay.
    pub fn retention(&self) -> watch::Receiver<Retention> {
        self.retention.subscribe()
    }

    /// Rings when rows were committed in this very process: an embedded relay then needs no LISTEN and no poll to be fast.
    pub fn wake_up(&self) -> Arc<Notify> {
        Arc::clone(&self.bells.rows)
    }

    /// Runs until `stop`; then hands its lanes over and returns. What may heal (a lost connection, a broker that is away, a lease that ran
    /// out) is retried for ever, with bounded waits, and logged.
    ///
    /// # Errors
    /// At the start: Postgres or Kafka can't be reached. At any time: the schema does not fit, because a newer program has migrated it in a way that
    /// breaks this one; the lanes are then handed over first. Or the server was restored or failed over: nothing more is published or stored.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the lease runs out and the next owner repeats what was not stored.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let pool = self.pool().await?;
        schema::check(&pool).await?;
        let admin = Arc::new(Admin::new(&self.kafka)?);
        self.timeline.compare(&pool, &self.kafka, &admin.topics().await?).await?;
        let mut services = JoinSet::new();
        if self.options.listen {
            services.spawn(wake_up::listen(pool.clone(), self.bells.clone()));
        }
        services.spawn(upkeep::make_partitions(pool.clone(), self.options.partitions_ahead));
        if let Some(keep) = self.options.retention {
            services.spawn(upkeep::retire(pool.clone(), keep, self.retention.clone()));
        }
        services.spawn(observe::look(pool.clone(), Arc::clone(&self.observer)));
        tracing::info!(name = self.options.name, "relay started");
        let ending = self.until_stopped_or_migrated(&pool, &admin, &stop).await;
        services.shutdown().await;
        tracing::info!(name = self.options.name, "relay stopped");
        ending
    }

    /// A migration that breaks this program stops it as a signal would, and is then the error. Another history stops it at once: to hand over would
    /// be to store places of the one before.
    async fn until_stopped_or_migrated(
        &self,
        pool: &PgPool,
        admin: &Arc<Admin>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let stop = stop.child_token();
        let mut sessions = Box::pin(self.sessions(pool, admin, &stop));
        tokio::select! {
            ending = &mut sessions => ending,
            misfit = schema::misfit(pool, SCHEMA_WATCH) => {
                tracing::error!(error = %Chain(&misfit), "the schema was migrated, stopping");
                stop.cancel();
                sessions.await?;
                Err(misfit.into())
            }
            restored = self.timeline.ends(pool, self.options.lease_ttl) => Err(restored.into()),
        }
    }

    /// One session after the other.
    async fn sessions(
        &self,
        pool: &PgPool,
        admin: &Arc<Admin>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        while !stop.is_cancelled() {
            let ending = self.session(pool, admin, stop).await;
            self.observer.leased(false);
            match ending {
                Ok(Ending::Stopped) => break,
                Ok(Ending::LeaseLost) => {
                    tracing::warn!("lease lost, joining again");
                    self.observer.lease_lost();
                }
                Err(Error::Postgres(error)) if error.is_schema() || error.is_restored() => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "session failed, joining again");
                    self.observer.trouble(Chain(&error));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(REJOIN) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    async fn pool(&self) -> Result<PgPool, Error> {
        let name = format!("outbox-relay:{}", self.options.name);
        PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(self.connect.clone().application_name(&name))
            .await
            .map_err(|source| {
                dionysus_postgres::Error::Statement { statement: "connecting to Postgres", source }
                    .into()
            })
    }

    /// From joining to leaving, or to the loss of the lease.
    async fn session(
        &self,
        pool: &PgPool,
        admin: &Arc<Admin>,
        stop: &CancellationToken,
    ) -> Result<Ending, Error> {
        self.observer.turn();
        schema::check(pool).await?;
        self.timeline.look(pool).await?;
        let id = Uuid::new_v4();
        let clock = Arc::new(LeaseClock::default());
        let sent = LeaseClock::now_ms();
        relays::join(pool, id, &self.options.name, self.options.lease_ttl).await?;
        clock.extend(sent, self.options.lease_ttl);
        self.observer.leased(true);
        let (membership, around) = watch::channel(Membership::Joined);
        let heart = Heart {
            pool: pool.clone(),
            id,
            ttl: self.options.lease_ttl,
            interval: self.options.heartbeat_interval(),
            clock: Arc::clone(&clock),
            nudge: Arc::clone(&self.bells.lanes),
            membership,
        };
        let mut heart_task = JoinSet::new();
        heart_task.spawn(heart.run());
        let session = Session {
            id,
            pool: pool.clone(),
            connect: self.connect.clone(),
            kafka: self.kafka.clone(),
            options: Arc::clone(&self.options),
            clock,
            membership: around,
            rows: Arc::clone(&self.bells.rows),
            opener: Opener { admin: Arc::clone(admin), options: Arc::clone(&self.options) },
            signals: self.signals.clone(),
            observer: Arc::clone(&self.observer),
            locks: Arc::clone(&self.locks),
            keeps_cursors: self.keeps_cursors,
        };
        let ending = Pump::start(session).await?.run(stop).await;
        heart_task.shutdown().await;
        ending
    }
}
