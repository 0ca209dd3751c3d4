//! What the outbox holds, whole rows of it, for tests and for people who look. A relay reads through [`crate::window`].

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use crate::Error;

/// A row of the outbox.
#[derive(Clone, FromRow)]
pub struct EnqueuedRow {
    /// The number that orders it, and its version.
    pub seq: i64,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// The event's identity.
    pub event_id: Uuid,
    /// The primary topic.
    pub topic: String,
    /// The Kafka key.
    pub key: String,
    /// What the partition is chosen by; without it, the key.
    pub partition_key: Option<String>,
    /// The event's name.
    pub event: String,
    /// The model's name.
    pub model: String,
    /// The instance's id, as text.
    pub model_id: String,
    /// The bytes to publish. `None`: a tombstone, or a row that a trigger wrote.
    pub payload: Option<Vec<u8>>,
    /// What a trigger wrote, for `dionysus_core::encode_captured`.
    pub capture: Option<String>,
    /// Headers to publish beside ours.
    pub headers: Option<serde_json::Value>,
}

/// Identity, not contents: payloads are the application's.
impl std::fmt::Debug for EnqueuedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnqueuedRow")
            .field("seq", &self.seq)
            .field("topic", &self.topic)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// The last `limit` rows that the executor sees, by number: the committed ones, and those of its own transaction.
///
/// # Errors
/// [`Error::Statement`].
pub async fn last(executor: impl PgExecutor<'_>, limit: u32) -> Result<Vec<EnqueuedRow>, Error> {
    sqlx::query_as(
        "select * from (
             select seq, created_at, event_id, topic, key, partition_key, event, model, model_id, payload, capture::text, headers
             from dionysus.outbox order by seq desc limit $1) as last
         order by seq",
    )
    .bind(i64::from(limit))
    .fetch_all(executor)
    .await
    .map_err(Error::at("reading the outbox"))
}
