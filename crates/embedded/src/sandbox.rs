//! The servers of an example: yours where you name them, else private ones.

use crate::testing::{Database, variable};
use crate::{Broker, Error, Postgres, PostgresOptions};

/// A Postgres server and brokers to try something on. `DATABASE_URL` and `KAFKA_BROKERS`, if set, replace the private ones.
#[derive(Debug)]
pub struct Sandbox {
    database_url: String,
    brokers: String,
    postgres: Option<Postgres>,
    broker: Option<Broker>,
}

impl Sandbox {
    /// Starts what is not named by the environment.
    ///
    /// # Errors
    /// When a server can't be started; [`Error::explained`] says what to do.
    pub async fn start() -> Result<Self, Error> {
        let (mut postgres, mut broker) = (None, None);
        let database_url = if let Some(url) = variable("DATABASE_URL") {
            url
        } else {
            postgres.insert(Postgres::start(PostgresOptions::default()).await?).url().to_owned()
        };
        let brokers = match variable("KAFKA_BROKERS") {
            Some(brokers) => brokers,
            None => broker.insert(Broker::start().await?).bootstrap().to_owned(),
        };
        Ok(Self { database_url, brokers, postgres, broker })
    }

    /// A new, empty database, dropped with the value.
    ///
    /// # Errors
    /// [`Error::Database`]: the role must be allowed to make databases.
    pub async fn database(&self) -> Result<Database, Error> {
        Database::create(&self.database_url).await
    }

    /// `host:port` of the brokers.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Which servers these are, in words.
    pub fn description(&self) -> String {
        let own = |private: bool, variable| if private { "a private one" } else { variable };
        format!(
            "Postgres: {}, Kafka: {} at {}",
            own(self.postgres.is_some(), "that of DATABASE_URL"),
            own(self.broker.is_some(), "that of KAFKA_BROKERS"),
            self.brokers
        )
    }

    /// Stops what was started.
    pub async fn stop(self) {
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }
}
