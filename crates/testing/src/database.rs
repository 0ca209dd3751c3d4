//! A database of one test's own.

use std::future::ready;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use dionysus_embedded::testing::{self, Database};
use dionysus_postgres::schema;
use dionysus_producer::{Outbox, OutboxOptions, Topology};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgPool};

use crate::error::explained;
use crate::{Enqueued, ReadOutbox};

/// A new database with the schema `dionysus`, on the server of `DATABASE_URL` (whose role must be allowed to make databases), else on an
/// embedded one that the tests of the process share.
///
/// What it holds is made once and copied from then on, application tables included: a copy takes 50 to 100 ms, whatever it holds. The originals, databases
/// named `dionysus_template_..`, stay on the server for the next run; they are named after their content and go after a week.
///
/// It is dropped with the value. `KEEP_TEST_DATABASES=1` keeps it; its name is printed when the test panics.
///
/// These functions panic where others return errors: a test has nobody to return them to.
///
/// # Examples
/// ```no_run
/// # async fn test() {
/// use dionysus_testing::TestDatabase;
///
/// let database = TestDatabase::with_sql("create table rentals (id bigint primary key, name text)").await;
/// sqlx::query("insert into rentals values (1, 'Villa')").execute(&database.pool).await.unwrap();
/// # }
/// ```
#[derive(Debug)]
pub struct TestDatabase {
    /// At most 20 connections to it, made when they are asked for.
    pub pool: PgPool,
    /// A connection URL. It contains the password.
    pub url: String,
    database: Database,
}

impl TestDatabase {
    /// A database with our schema alone.
    ///
    /// # Panics
    /// When the server can't be started or reached, or the schema can't be made: the message says what to do. So do the other constructors.
    pub async fn new() -> Self {
        Self::with("", |_| ready(())).await
    }

    /// A database with our schema and what these statements make: `include_str!("../schema.sql")`.
    ///
    /// # Panics
    /// As [`new`](Self::new), and when a statement fails.
    pub async fn with_sql(sql: &str) -> Self {
        Self::with(sql, |pool| async move {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await;
            done.unwrap_or_else(|error| {
                panic!("the test's own statements failed: {}", explained(&error, None))
            });
        })
        .await
    }

    /// A database with our schema and the application's own migrations: `static MIGRATIONS: Migrator = sqlx::migrate!();`
    ///
    /// # Panics
    /// As [`new`](Self::new), and when a migration fails.
    pub async fn with_migrations(migrations: &Migrator) -> Self {
        let content: Vec<_> = migrations.iter().map(|one| (one.version, &one.checksum)).collect();
        Self::with(content, |pool| async move {
            let done = migrations.run(&pool).await;
            done.unwrap_or_else(|error| {
                panic!("the application's migrations failed: {}", explained(&error, None))
            });
        })
        .await
    }

    /// `content` stands for what `fill` makes.
    async fn with<F, Fut>(content: impl std::hash::Hash, fill: F) -> Self
    where
        F: Fn(PgPool) -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut hasher = DefaultHasher::new();
        (schema::fingerprint(), content).hash(&mut hasher);
        let name = format!("{:016x}", hasher.finish());
        let fill = &fill;
        let database = testing::database_with(&name, |pool| async move {
            if let Err(error) = schema::migrate(&pool).await {
                panic!("{}", explained(&error, error.remedy()));
            }
            fill(pool).await;
        })
        .await;
        Self { pool: database.pool.clone(), url: database.url.clone(), database }
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// An outbox for this topology, which panics when staged events are dropped, neither committed nor rolled back: a forgotten `commit`
    /// fails the test.
    ///
    /// # Panics
    /// When the topology can't be registered.
    pub async fn outbox(&self, topology: Topology) -> Outbox {
        let options = OutboxOptions::new().panic_on_dropped_stage(true);
        let outbox = Outbox::connect_with(self.pool.clone(), topology, options).await;
        outbox.unwrap_or_else(|error| panic!("{}", explained(&error, error.remedy())))
    }

    /// What is committed to the outbox.
    ///
    /// # Panics
    /// When it can't be read.
    pub async fn enqueued(&self) -> Enqueued {
        let enqueued = self.pool.read_outbox().await;
        enqueued.unwrap_or_else(|error| panic!("{}", error.explained()))
    }

    /// A consumer that keeps its replicas in this database, to be described further and given to a [`Pair`](crate::Pair). Its group is `test`,
    /// and it knows of no Kafka.
    #[cfg(feature = "pair")]
    pub fn consumer(&self) -> dionysus_consumer::ConsumerBuilder {
        let nowhere = dionysus_consumer::ClientConfig::new("127.0.0.1:1");
        dionysus_consumer::Consumer::builder(self.pool.clone(), nowhere).group("test")
    }
}
