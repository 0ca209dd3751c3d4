//! The door through which an application's changes reach the outbox.

use std::sync::Arc;

use dionysus_postgres::{schema, topics};
use sqlx::{Connection as _, PgConnection, PgPool, SqlSafeStr};

use crate::stage::WhenDropped;
use crate::trace_context::TraceSource;
use crate::wake_up::{Bell, WakeUps};
use crate::{Error, OutboxTransaction, Stage, Topology, TraceContext};

/// Begins transactions that record events.
///
/// Cheap to clone; all clones share one topology and one task for wake-ups, which ends with the last of them.
///
/// # Examples
/// ```no_run
/// # mod app {
/// # #[derive(dionysus_derive::Publishable)]
/// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
/// # pub struct Rental { pub id: i64, pub account_id: i64 }
/// # }
/// # use app::Rental;
/// # async fn start(pool: sqlx::PgPool) -> Result<(), dionysus_producer::Error> {
/// use dionysus_producer::{Outbox, Topology};
///
/// let topology = Topology::builder()
///     .namespace("v3", |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
///     .build()?;
/// let outbox = Outbox::connect(pool, topology).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    topology: Topology,
    options: OutboxOptions,
    bell: Bell,
}

/// How an [`Outbox`] behaves.
#[derive(Clone, Debug)]
#[must_use]
pub struct OutboxOptions {
    enabled: bool,
    notify: bool,
    panic_on_dropped_stage: bool,
    trace_source: Option<TraceSource>,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self { enabled: true, notify: true, panic_on_dropped_stage: false, trace_source: None }
    }
}

impl OutboxOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether anything is enqueued at all. Off, each staging call returns at once, as in a suppressed scope: for a one-off import, or a process
    /// that must not publish. Default: on.
    pub fn enabled(mut self, on: bool) -> Self {
        self.enabled = on;
        self
    }

    /// Whether relays in other processes are notified after commits. It takes a connection of the pool for one statement, at
    /// most 200 times a second. Off, they find rows by polling; listeners in this process
    /// ([`Outbox::wake_ups`]) are told in either case. Default: on.
    pub fn notify(mut self, on: bool) -> Self {
        self.notify = on;
        self
    }

    /// Whether a stage or transaction that is dropped with events in it, neither committed nor rolled back, panics. For tests: it
    /// finds the forgotten `commit`, but also fails where an error is passed on with `?` between staging and commit. Default:
    /// off, it is logged.
    pub fn panic_on_dropped_stage(mut self, on: bool) -> Self {
        self.panic_on_dropped_stage = on;
        self
    }

    /// Where the trace context of the moment comes from. It is asked once for each staging call, on its thread, and what it gives travels
    /// in the headers of the messages. [`set_trace_context`](OutboxTransaction::set_trace_context) overrides it. Default: none.
    ///
    /// With OpenTelemetry, let its `TraceContextPropagator` inject the current context into a map, and make a [`TraceContext`] of what it
    /// wrote under `traceparent` and `tracestate`.
    ///
    /// # Examples
    /// ```
    /// use dionysus_producer::{OutboxOptions, TraceContext};
    ///
    /// tokio::task_local! {
    ///     /// Set around each request by the application's middleware.
    ///     static TRACE: TraceContext;
    /// }
    ///
    /// let options = OutboxOptions::new().trace_context(|| TRACE.try_with(Clone::clone).ok());
    /// ```
    pub fn trace_context(
        mut self,
        source: impl Fn() -> Option<TraceContext> + Send + Sync + 'static,
    ) -> Self {
        self.trace_source = Some(TraceSource::new(source));
        self
    }

    pub(crate) fn trace_source(&self) -> Option<&TraceSource> {
        self.trace_source.as_ref()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(crate) fn panics_on_dropped_stage(&self) -> bool {
        self.panic_on_dropped_stage
    }
}

impl Outbox {
    /// Checks the schema, registers the topology in the database, and is ready. Registering the same topology again changes
    /// nothing, so any number of processes may start at once.
    ///
    /// # Errors
    /// [`Error::Postgres`]: the schema is missing or of another version, or the database could not be reached.
    /// [`Error::remedy`] says what to do.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn connect(pool: PgPool, topology: Topology) -> Result<Self, Error> {
        Self::connect_with(pool, topology, OutboxOptions::default()).await
    }

    /// As [`connect`](Self::connect), with options.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn connect_with(
        pool: PgPool,
        topology: Topology,
        options: OutboxOptions,
    ) -> Result<Self, Error> {
        schema::check(&pool).await?;
        let registrations = topology.registrations();
        if !registrations.is_empty() {
            let mut conn =
                pool.acquire().await.map_err(Error::during("connecting to the database"))?;
            topics::register(&mut conn, &registrations).await?;
        }
        let bell = Bell::new(options.notify.then(|| pool.clone()));
        Ok(Self { inner: Arc::new(Inner { pool, topology, options, bell }) })
    }

    /// Begins a transaction on a connection of the pool.
    ///
    /// # Errors
    /// [`Error::Transaction`].
    ///
    /// # Cancel safety
    /// Cancel safe: a transaction that was begun is rolled back.
    pub async fn begin(&self) -> Result<OutboxTransaction<'static>, Error> {
        let tx = self.inner.pool.begin().await.map_err(Error::during("beginning a transaction"))?;
        Ok(OutboxTransaction::new(self, tx))
    }

    /// Begins a transaction with a statement of your own, such as `begin isolation level repeatable read`.
    ///
    /// # Errors
    /// [`Error::Transaction`], also if the statement begins no transaction.
    ///
    /// # Cancel safety
    /// Cancel safe: a transaction that was begun is rolled back.
    pub async fn begin_with(
        &self,
        statement: impl SqlSafeStr,
    ) -> Result<OutboxTransaction<'static>, Error> {
        let tx = self
            .inner
            .pool
            .begin_with(statement)
            .await
            .map_err(Error::during("beginning a transaction"))?;
        Ok(OutboxTransaction::new(self, tx))
    }

    /// Begins on a connection that the application has: a transaction if it is in none, else a nested one.
    ///
    /// A nested one writes its events, in one statement, when it commits; they are published if the application's transaction
    /// commits too. Call [`wake_up`](Self::wake_up) after that.
    ///
    /// # Errors
    /// [`Error::Transaction`].
    ///
    /// # Cancel safety
    /// Cancel safe: a transaction that was begun is rolled back.
    ///
    /// # Examples
    /// ```no_run
    /// # mod app {
    /// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub account_id: i64 }
    /// # }
    /// # use app::Rental;
    /// # async fn destroy(pool: sqlx::PgPool, outbox: dionysus_producer::Outbox) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut own = pool.begin().await?;
    /// let mut tx = outbox.begin_on(&mut own).await?;
    /// let rental: Rental = sqlx::query_as("delete from rentals where id = 1 returning *").fetch_one(&mut *tx).await?;
    /// tx.destroyed(&rental)?;
    /// tx.commit().await?;
    /// own.commit().await?;
    /// outbox.wake_up();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn begin_on<'c>(
        &self,
        conn: &'c mut PgConnection,
    ) -> Result<OutboxTransaction<'c>, Error> {
        let tx = conn.begin().await.map_err(Error::during("beginning a transaction"))?;
        Ok(OutboxTransaction::new(self, tx))
    }

    /// A stage for a transaction that the application begins, runs and ends by itself.
    ///
    /// # Examples
    /// ```no_run
    /// # mod app {
    /// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub account_id: i64 }
    /// # }
    /// # use app::Rental;
    /// # async fn create(pool: sqlx::PgPool, outbox: dionysus_producer::Outbox) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = pool.begin().await?;
    /// let rental: Rental = sqlx::query_as("insert into rentals (account_id) values (7) returning *").fetch_one(&mut *tx).await?;
    /// let mut stage = outbox.stage();
    /// stage.created(&rental)?;
    /// stage.write(&mut tx).await?; // the last statement of the transaction
    /// tx.commit().await?;
    /// outbox.wake_up();
    /// # Ok(())
    /// # }
    /// ```
    pub fn stage(&self) -> Stage {
        Stage::new(self.clone(), WhenDropped::EventsAreLost)
    }

    /// Says that rows were committed. Only needed after a commit of the application's own; returns at once and never fails.
    pub fn wake_up(&self) {
        self.inner.bell.ring();
    }

    /// Wake-ups for a relay in this process, from now on.
    pub fn wake_ups(&self) -> WakeUps {
        self.inner.bell.listen()
    }

    /// What is published where.
    pub fn topology(&self) -> &Topology {
        &self.inner.topology
    }

    /// The pool that [`begin`](Self::begin) takes connections from.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    pub(crate) fn options(&self) -> &OutboxOptions {
        &self.inner.options
    }
}
