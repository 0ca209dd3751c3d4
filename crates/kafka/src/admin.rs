//! Topics: which exist, creating them, what they accept.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic as NativeTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{ClientConfig, Code, Error, dispose, log};

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client for the administration of topics. May be shared; its requests run beside each other.
pub struct Admin {
    client: Arc<AdminClient<Context>>,
    config: ClientConfig,
}

/// A topic as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TopicInfo {
    /// Number of partitions.
    pub partitions: u32,
}

/// A topic as it should be made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; 0: the brokers' default.
    pub partitions: u32,
    /// Number of replicas; 0: the brokers' default.
    pub replication: u32,
    /// Settings of the topic, e.g. `cleanup.policy` = `compact`.
    pub config: BTreeMap<String, String>,
}

impl Admin {
    /// Makes a client. No broker needs to be reachable yet.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: &ClientConfig) -> Result<Self, Error> {
        // Asking for a topic must not create it.
        let native = config.native([], [("allow.auto.create.topics", "false".into())])?;
        let client = native.create_with_context(Context).map_err(ClientConfig::refused)?;
        Ok(Self { client: Arc::new(client), config: config.clone() })
    }

    /// All topics that this client may see, internal ones (`__...`) included.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// [`Error::Unreachable`] after 10 s; [`Error::Request`].
    pub async fn topics(&self) -> Result<BTreeMap<String, TopicInfo>, Error> {
        let client = Arc::clone(&self.client);
        let listed = tokio::task::spawn_blocking(move || {
            let metadata = client.inner().fetch_metadata(None, TIMEOUT)?;
            // A topic with an error is being created or deleted, or hidden from us.
            let sound = metadata.topics().iter().filter(|topic| topic.error().is_none());
            Ok(sound
                .map(|topic| {
                    let partitions = u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX);
                    (topic.name().to_owned(), TopicInfo { partitions })
                })
                .collect())
        })
        .await?;
        listed.map_err(|error: KafkaError| Error::about(&self.config, "list topics", &error))
    }

    /// Makes the topics that do not exist yet, and returns their names. Those that exist are left as they are.
    ///
    /// # Cancel safety
    /// Safe to drop, but topics may be created nevertheless.
    ///
    /// # Errors
    /// [`Error::Topic`] for the first topic that is refused; the others may have been created. [`Error::Unreachable`].
    pub async fn create_topics(&self, topics: &[NewTopic]) -> Result<Vec<String>, Error> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let native: Vec<NativeTopic<'_>> = topics.iter().map(NewTopic::native).collect();
        let options = options().operation_timeout(Some(TIMEOUT));
        let results = self
            .client
            .create_topics(&native, &options)
            .await
            .map_err(|error| Error::about(&self.config, "create topics", &error))?;
        let mut created = Vec::new();
        let mut refused = None;
        for result in results {
            match result {
                Ok(name) => created.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    refused.get_or_insert(Error::about_topic(&self.config, &name, Code(code)));
                }
            }
        }
        refused.map_or(Ok(created), Err)
    }

    /// Replaces the settings of a topic: those that are not named go back to the broker's defaults.
    ///
    /// # Cancel safety
    /// The settings may be replaced all the same.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Topic`] (no right to alter its settings), [`Error::Unreachable`].
    pub async fn replace_settings(
        &self,
        topic: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let mut native = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in settings {
            native = native.set(name, value);
        }
        let results =
            self.client.alter_configs([&native], &options()).await.map_err(|error| {
                Error::about(&self.config, "alter the settings of a topic", &error)
            })?;
        for result in results {
            result.map_err(|(_, code)| Error::about_topic(&self.config, topic, Code(code)))?;
        }
        Ok(())
    }

    /// The largest batch (so also: message) that a topic accepts, in bytes: its `max.message.bytes`.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// As [`setting`](Self::setting).
    pub async fn max_message_bytes(&self, topic: &str) -> Result<usize, Error> {
        let value = self.setting(topic, "max.message.bytes").await?;
        value.and_then(|value| value.parse().ok()).ok_or_else(|| Error::Topic {
            topic: topic.to_owned(),
            source: Code(RDKafkaErrorCode::InvalidConfig),
        })
    }

    /// A setting of a topic as it is in force, e.g. `cleanup.policy`; `None` if its broker knows no such setting.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Topic`] (no right to describe its settings), [`Error::Unreachable`].
    pub async fn setting(&self, topic: &str, name: &str) -> Result<Option<String>, Error> {
        let answers = self
            .client
            .describe_configs([&ResourceSpecifier::Topic(topic)], &options())
            .await
            .map_err(|error| Error::about(&self.config, "describe a topic", &error))?;
        let about = |code| Error::about_topic(&self.config, topic, Code(code));
        let missing = || about(RDKafkaErrorCode::UnknownTopicOrPartition);
        let resource = answers.into_iter().next().ok_or_else(missing)?.map_err(about)?;
        // Some brokers answer for a topic that does not exist, with no settings.
        if resource.entries.is_empty() {
            return Err(missing());
        }
        Ok(resource.get(name).and_then(|entry| entry.value.clone()))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT))
}

impl NewTopic {
    fn native(&self) -> NativeTopic<'_> {
        let or_default = |number: u32| match i32::try_from(number) {
            Ok(0) => -1,
            Ok(number) => number,
            Err(_) => i32::MAX,
        };
        let replication = TopicReplication::Fixed(or_default(self.replication));
        let topic = NativeTopic::new(&self.name, or_default(self.partitions), replication);
        self.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        dispose::when_last(Arc::clone(&self.client), || ());
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("config", &self.config).finish_non_exhaustive()
    }
}

struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::forward(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::global_error(&error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}
}
