//! What an outbox holds, read once, to be asserted on.

use std::ops::Deref;

use chrono::{DateTime, Utc};
use dionysus_core::encode_captured;
use dionysus_postgres::enqueued::{self, EnqueuedRow};
use dionysus_producer::{Outbox, OutboxTransaction};
use serde_json::Value;
use sqlx::postgres::PgTransaction;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::{Error, TestDatabase};

/// More than a test looks at.
const EVENTS_MAX: u32 = 10_000;

/// The events in an outbox, in the order of their numbers: a slice of [`EnqueuedEvent`]. Of more than 10,000 only the last are here.
#[derive(Clone, Debug, Default)]
pub struct Enqueued {
    pub(crate) events: Vec<EnqueuedEvent>,
    /// Events that wait for the commit of the transaction that was read through.
    pub(crate) staged: usize,
}

/// A row of the outbox, whether staged by a transaction or captured by a trigger. What it will publish is shown by `Debug` and in failures: this is for tests.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EnqueuedEvent {
    /// The number that orders it, and its version.
    pub seq: i64,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// The event's identity.
    pub event_id: Uuid,
    /// The primary topic: `v3_rentals`.
    pub topic: String,
    /// The Kafka key: `Rental:1`.
    pub key: String,
    /// What the partition is chosen by; without it, the key.
    pub partition_key: Option<String>,
    /// `rental_created`.
    pub event: String,
    /// `Rental`.
    pub model: String,
    /// The instance's id, as text.
    pub model_id: String,
    /// Headers beside ours: an object of texts, or null.
    pub headers: Value,
    /// The message, as JSON: null for a tombstone.
    pub message: Value,
}

impl Enqueued {
    /// Those that came after what was read earlier.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let last = earlier.last().map_or(i64::MIN, |event| event.seq);
        let later = self.iter().filter(|event| event.seq > last);
        Self { events: later.cloned().collect(), staged: self.staged }
    }

    /// Key and event of each: `Rental:1 rental_created`.
    pub fn summary(&self) -> Vec<String> {
        self.iter().map(|event| format!("{} {}", event.key, event.event)).collect()
    }
}

impl Deref for Enqueued {
    type Target = [EnqueuedEvent];

    fn deref(&self) -> &Self::Target {
        &self.events
    }
}

impl EnqueuedEvent {
    /// The snapshot: attributes, `links` and sideloaded parts. Null for a tombstone.
    pub fn data(&self) -> &Value {
        &self.message["message"][0]["data"][0]
    }

    /// Whether it publishes a null value.
    pub fn is_tombstone(&self) -> bool {
        self.message.is_null()
    }
}

impl TryFrom<EnqueuedRow> for EnqueuedEvent {
    type Error = Error;

    fn try_from(row: EnqueuedRow) -> Result<Self, Error> {
        let mut captured = Vec::new();
        let payload = match (&row.payload, &row.capture) {
            (Some(payload), _) => Some(payload),
            (None, None) => None,
            (None, Some(capture)) => {
                let encoded = encode_captured(capture, &mut captured);
                encoded.map_err(|source| Error::Capture { key: row.key.clone(), source })?;
                Some(&captured)
            }
        };
        // What is no JSON is shown as the text that it is.
        let message = payload.map_or(Value::Null, |payload| {
            serde_json::from_slice(payload)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(payload)))
        });
        Ok(Self {
            seq: row.seq,
            created_at: row.created_at,
            event_id: row.event_id,
            topic: row.topic,
            key: row.key,
            partition_key: row.partition_key,
            event: row.event,
            model: row.model,
            model_id: row.model_id,
            headers: row.headers.unwrap_or_default(),
            message,
        })
    }
}

/// Where an outbox can be read: what the assertions take.
///
/// | given | sees |
/// | --- | --- |
/// | `&TestDatabase`, `&PgPool`, `&Outbox` | what is committed |
/// | `&mut *tx` or `&mut tx` of an open transaction | that, and what this transaction has written |
/// | `&Enqueued` | what was read earlier; no statement is run |
///
/// An [`OutboxTransaction`] writes its events when it commits; before, there is nothing to see but their number.
pub trait ReadOutbox {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Postgres`]; [`Error::Capture`]: a row that a trigger wrote can't be published.
    ///
    /// # Cancel safety
    /// A connection or transaction is left amid a statement.
    fn read_outbox(self) -> impl Future<Output = Result<Enqueued, Error>> + Send;
}

impl ReadOutbox for &PgPool {
    async fn read_outbox(self) -> Result<Enqueued, Error> {
        read(self).await
    }
}

impl ReadOutbox for &mut PgConnection {
    async fn read_outbox(self) -> Result<Enqueued, Error> {
        read(self).await
    }
}

impl ReadOutbox for &mut PgTransaction<'_> {
    async fn read_outbox(self) -> Result<Enqueued, Error> {
        read(&mut **self).await
    }
}

impl ReadOutbox for &mut OutboxTransaction<'_> {
    async fn read_outbox(self) -> Result<Enqueued, Error> {
        let staged = self.staged();
        Ok(Enqueued { staged, ..read(&mut **self).await? })
    }
}

impl ReadOutbox for &Outbox {
    async fn read_outbox(self) -> Result<Enqueued, Error> {
        read(self.pool()).await
    }
}

impl ReadOutbox for &TestDatabase {
    async fn read_outbox(self) -> Result<Enqueued, Error> {
        read(&self.pool).await
    }
}

impl ReadOutbox for &Enqueued {
    async fn read_outbox(self) -> Result<Enqueued, Error> {
        Ok(self.clone())
    }
}

async fn read(executor: impl PgExecutor<'_>) -> Result<Enqueued, Error> {
    let rows = enqueued::last(executor, EVENTS_MAX).await?;
    let events = rows.into_iter().map(EnqueuedEvent::try_from).collect::<Result<_, _>>()?;
    Ok(Enqueued { events, staged: 0 })
}
