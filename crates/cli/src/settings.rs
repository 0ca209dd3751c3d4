//! Configuration of the command line, and the clients made of it.

use dionysus_kafka::{Admin, ClientConfig};
use dionysus_postgres::schema;
use dionysus_service::{
    Common, Config, DatabaseConfig, Faults, KafkaConfig, LogConfig, Report, RetentionConfig,
    connect, init_tracing, load_config,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::reports;

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    database: DatabaseConfig,
    kafka: KafkaConfig,
    log: LogConfig,
    /// The relay's: the doctor judges by it.
    pub(crate) retention: RetentionConfig,
}

impl Default for Settings {
    /// A person reads the output: only warnings beside it.
    fn default() -> Self {
        let log = LogConfig { filter: "warn".into(), ..LogConfig::default() };
        Self {
            database: DatabaseConfig::default(),
            kafka: KafkaConfig::default(),
            log,
            retention: RetentionConfig::default(),
        }
    }
}

impl Config for Settings {
    fn check(&self, faults: &mut Faults) {
        self.database.check(faults);
        self.log.check(faults);
    }
}

impl Settings {
    /// Loads them, and sends logs to stderr.
    pub(crate) fn load(common: &Common) -> Result<Self, Report> {
        let settings: Self = load_config(common.config.as_deref(), &common.overrides())?;
        init_tracing(&settings.log)?;
        Ok(settings)
    }

    /// The database, whatever its schema.
    pub(crate) async fn database(&self) -> Result<PgPool, Report> {
        connect(&self.database, "dionysus").await
    }

    /// The database, with a schema that fits.
    pub(crate) async fn migrated_database(&self) -> Result<PgPool, Report> {
        let pool = self.database().await?;
        schema::check(&pool).await.map_err(reports::postgres)?;
        Ok(pool)
    }

    /// Whether brokers are named at all.
    pub(crate) fn names_brokers(&self) -> bool {
        !self.kafka.brokers.trim().is_empty()
    }

    pub(crate) fn kafka(&self) -> Result<Admin, Report> {
        Admin::new(&self.kafka_client()).map_err(reports::kafka)
    }

    pub(crate) fn kafka_client(&self) -> ClientConfig {
        ClientConfig {
            brokers: self.kafka.brokers.clone(),
            client_id: "dionysus".into(),
            properties: self.kafka.exposed_properties(),
        }
    }
}
