//! Where the brokers are. What it means to librdkafka is not known here: a binary that produces or consumes nothing must
//! not build it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Faults, Secret};

/// The Kafka cluster: section `[kafka]`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas. Also taken from `KAFKA_BROKERS`. No default.
    pub brokers: String,
    /// Properties of librdkafka, e.g. `"security.protocol" = "SASL_SSL"`; those that a guarantee rests on are refused.
    /// In the environment: `DIONYSUS_KAFKA__PROPERTIES__SECURITY_PROTOCOL`. Default none.
    pub properties: BTreeMap<String, Secret>,
}

impl KafkaConfig {
    /// Adds what is wrong with it, as far as it can be told without librdkafka.
    pub fn check(&self, faults: &mut Faults) {
        let named = self.brokers.split(',').any(|broker| !broker.trim().is_empty());
        faults.require(named, "kafka.brokers", "missing; set KAFKA_BROKERS=host:port");
    }

    /// The properties, their values exposed: for the client alone.
    pub fn exposed_properties(&self) -> BTreeMap<String, String> {
        let exposed = |(key, value): (&String, &Secret)| (key.clone(), value.expose().to_owned());
        self.properties.iter().map(exposed).collect()
    }
}
