//! Databases, brokers and topics for tests, each test its own.
//!
//! The servers are those of `DATABASE_URL` and `KAFKA_BROKERS`, else embedded ones, shared by the tests of a process and
//! started by the first that asks. These functions panic where others return errors: a test has nobody to return them to.

mod template;

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::OnceCell;

use crate::postgres::database;
use crate::{Broker, Error, Postgres, PostgresOptions};

/// Enough for the parallel parts of one test, and little enough for many tests beside each other on one server.
const POOL_SIZE: u32 = 20;

/// The test may have stopped or suspended the server.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// Set to keep the databases of tests, to look into them.
const KEEP: &str = "KEEP_TEST_DATABASES";

/// A database of one test. It is dropped with the value, sessions or not; with `KEEP_TEST_DATABASES=1` it stays. What became of it is
/// printed if the test panics, and if it stays.
#[derive(Debug)]
pub struct Database {
    /// A connection URL for this database.
    pub url: String,
    /// At most 20 connections to it.
    pub pool: PgPool,
    name: String,
    admin: PgConnectOptions,
}

/// A new, empty database on the server of `DATABASE_URL` (whose role must be allowed to make databases), else on an
/// embedded server.
///
/// # Panics
/// When the server cannot be started or reached: the message says why and what to do.
pub async fn database() -> Database {
    new_database().await.unwrap_or_else(|error| panic!("{}", error.explained()))
}

/// As [`database`], with what `fill` puts into a database: `content` names that. It is filled once and copied from then on, which is several times
/// faster, and kept on the server for later runs: a name must stand for the same content for ever, so a hash of it is a good one.
///
/// # Panics
/// As [`database`].
pub async fn database_with<F, Fut>(content: &str, fill: F) -> Database
where
    F: Fn(PgPool) -> Fut,
    Fut: Future<Output = ()>,
{
    let made = async {
        let database = Database::named(&server().await?)?;
        template::copy(&database.admin, &database.name, content, fill).await?;
        Ok(database)
    };
    made.await.unwrap_or_else(|error: Error| panic!("{}", error.explained()))
}

/// The brokers of `KAFKA_BROKERS`, else an embedded one.
///
/// # Panics
/// When the broker cannot be started: the message says why.
pub async fn brokers() -> String {
    static BROKER: OnceCell<Broker> = OnceCell::const_new();
    if let Some(brokers) = variable("KAFKA_BROKERS") {
        return brokers;
    }
    match BROKER.get_or_try_init(Broker::start).await {
        Ok(broker) => broker.bootstrap().to_owned(),
        Err(error) => panic!("{}", error.explained()),
    }
}

/// A name for a topic that no other test has: `prefix`, `_` and 12 digits. The topic is not made.
pub fn topic(prefix: &str) -> String {
    let mut unique = uuid::Uuid::new_v4().simple().to_string();
    unique.truncate(12);
    format!("{prefix}_{unique}")
}

async fn new_database() -> Result<Database, Error> {
    Database::create(&server().await?).await
}

/// The URL of the server.
async fn server() -> Result<String, Error> {
    static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
    if let Some(url) = variable("DATABASE_URL") {
        return Ok(url);
    }
    let start = || Postgres::start(PostgresOptions::default());
    Ok(POSTGRES.get_or_try_init(start).await?.url().to_owned())
}

impl Database {
    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new, empty database on the server of this URL.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub(crate) async fn create(server: &str) -> Result<Self, Error> {
        let database = Self::named(server)?;
        database::create(&database.admin, &database.name).await?;
        Ok(database)
    }

    /// A database that is still to be made.
    fn named(server: &str) -> Result<Self, Error> {
        let failed = |source| Error::Database { action: "read the server's url", source };
        let admin: PgConnectOptions = server.parse().map_err(failed)?;
        let name = format!("dionysus_test_{}", uuid::Uuid::new_v4().simple());
        // Lazily: a test that brings its own pool pays nothing for this one.
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy_with(admin.clone().database(&name));
        Ok(Self { url: database::url_of(server, &name), pool, name, admin })
    }

    /// Says what becomes of it, where that is of interest; true if it stays.
    #[expect(clippy::print_stderr, reason = "whoever looks at a failed test looks there")]
    fn stays(&self) -> bool {
        let name = &self.name;
        let stays = variable(KEEP).is_some();
        if stays && variable("DATABASE_URL").is_none() {
            eprintln!(
                "database {name} goes with the embedded server: set DATABASE_URL as well as {KEEP}"
            );
        } else if stays {
            eprintln!("database {name} stays on the server of DATABASE_URL");
        } else if std::thread::panicking() {
            eprintln!("database {name} is dropped: {KEEP}=1 keeps it");
        }
        stays
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.stays() {
            return;
        }
        let (name, admin) = (self.name.clone(), self.admin.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let removed = runtime.map(|runtime| {
                runtime.block_on(async {
                    tokio::time::timeout(DROP_LIMIT, database::remove(&admin, &name)).await
                })
            });
            if !matches!(removed, Ok(Ok(Ok(())))) {
                tracing::debug!("test database is left");
            }
        });
        // Waited for, or the end of the process would be faster for the last tests.
        if dropping.join().is_err() {
            tracing::debug!("test database is left");
        }
    }
}

/// A variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|v| !v.is_empty())
}
