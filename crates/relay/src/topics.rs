//! A lane's topics: looked up when it opens, created where that is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{Admin, NewTopic, Publisher};
use tokio::time::Instant;

use crate::RelayOptions;
use crate::error::Chain;
use crate::in_flight::InFlight;

/// Why a lane can't open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The topic is not there and we may not create it.
    #[error(
        "topic `{topic}` does not exist: create it with `dionysus topics create`, or set relay.create_topics = true"
    )]
    Missing { topic: String },
    /// Kafka could not say, or refused.
    #[error(transparent)]
    Kafka(#[from] dionysus_kafka::Error),
}

/// A topic that was just created is known to every broker after a moment.
const SETTLE_MAX: Duration = Duration::from_secs(5);
const SETTLE_POLL: Duration = Duration::from_millis(20);

/// What opening needs; cheap to clone into a task.
#[derive(Clone, Debug)]
pub(crate) struct Opener {
    pub(crate) admin: Arc<Admin>,
    pub(crate) options: Arc<RelayOptions>,
}

impl Opener {
    /// Makes sure that `topics` exist and that the client knows their partitions. Returns how many bytes a batch may have that all of
    /// them accept.
    pub(crate) async fn open(
        &self,
        publisher: &Publisher<InFlight>,
        topics: &[String],
    ) -> Result<usize, OpenError> {
        let known = self.admin.topics().await?;
        let missing: Vec<_> =
            topics.iter().filter(|topic| !known.contains_key(topic.as_str())).collect();
        if let Some(topic) = missing.first()
            && !self.options.create_topics
        {
            return Err(OpenError::Missing { topic: (*topic).clone() });
        }
        let mut patience = Duration::ZERO;
        if !missing.is_empty() {
            let new: Vec<_> = missing.into_iter().map(|topic| self.new_topic(topic)).collect();
            self.admin.create_topics(&new).await?;
            patience = SETTLE_MAX;
        }
        let deadline = Instant::now() + patience;
        let mut limit = usize::MAX;
        for topic in topics {
            known_to(publisher, topic, deadline).await?;
            limit = limit.min(self.limit(topic).await);
        }
        Ok(limit)
    }

    /// Without the right to ask, or an answer, nothing is checked here; the broker then refuses what is too large.
    async fn limit(&self, topic: &str) -> usize {
        self.admin.max_message_bytes(topic).await.unwrap_or_else(|error| {
            tracing::warn!(topic, error = %Chain(&error), "the topic's limit is not known");
            usize::MAX
        })
    }

    fn new_topic(&self, topic: &str) -> NewTopic {
        // A twin holds the latest snapshot of every instance: compacted, so that it can be read from the start for ever.
        let config = if topic.ends_with(dionysus_core::GENESIS_SUFFIX) {
            BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())])
        } else {
            BTreeMap::new()
        };
        NewTopic {
            name: topic.to_owned(),
            partitions: self.options.partitions,
            replication: self.options.replication.unwrap_or(0),
            config,
        }
    }
}

/// Makes sure that the client knows the topic's partitions; until `deadline` a topic may be unknown yet.
async fn known_to(
    publisher: &Publisher<InFlight>,
    topic: &str,
    deadline: Instant,
) -> Result<(), dionysus_kafka::Error> {
    loop {
        match publisher.refresh_topic(topic).await {
            Err(dionysus_kafka::Error::UnknownTopic { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(SETTLE_POLL).await;
            }
            known => return known.map(drop),
        }
    }
}
