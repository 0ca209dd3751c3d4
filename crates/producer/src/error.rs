//! What can go wrong for an application that records events.

use dionysus_core::EncodeError;

use crate::InstanceKey;
use crate::topology::Mistake;

/// A failure to declare, stage or commit.
///
/// Staging runs no statement, so after a refusal there (everything from [`Error::ModelNotPublished`] to [`Error::OtherDepth`]) the
/// transaction can go on, and what was staged before is still there. A refusal of an instance names its model; its key can be asked for
/// ([`Error::key`]) and is in no text, since errors end in logs and ids may be personal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The declaration of the topology has mistakes: all of them are listed.
    #[error("the topology has {}: {}", count(mistakes), join(mistakes))]
    Topology {
        /// Each with its place.
        mistakes: Vec<Mistake>,
    },
    /// No topic of the topology publishes this type.
    #[error("model `{model}` is not published by any topic of the topology")]
    ModelNotPublished {
        /// The model's name.
        model: String,
    },
    /// A tombstone was to be staged for a key of no model of the topic.
    #[error("topic `{topic}` is not declared, or publishes no model with such a key")]
    KeyNotPublished {
        /// The topic.
        topic: String,
        /// The key, for the program alone.
        key: InstanceKey,
    },
    /// The message would be larger than its topic takes.
    #[error("a message of model `{model}` has {size} bytes, topic `{topic}` takes {limit}")]
    TooLarge {
        /// The topic.
        topic: String,
        /// The model.
        model: String,
        /// The key, for the program alone.
        key: InstanceKey,
        /// Bytes of key and value.
        size: usize,
        /// The topic's limit, [`max_message_bytes`](crate::TopicBuilder::max_message_bytes).
        limit: usize,
    },
    /// A value of the snapshot has no form on the wire.
    #[error("a snapshot of model `{model}` cannot be written")]
    Snapshot {
        /// The model.
        model: String,
        /// The key, for the program alone.
        key: InstanceKey,
        /// Which attribute, and why.
        #[source]
        source: EncodeError,
    },
    /// A row that was read at commit does not fit the model's type.
    #[error("a row of model `{model}` could not be read")]
    Unreadable {
        /// The model.
        model: String,
        /// Which column, and why.
        #[source]
        source: sqlx::Error,
    },
    /// The instance has no id, so it has no key.
    #[error("an instance of model `{model}` has an empty id")]
    EmptyId {
        /// The model.
        model: String,
        /// The key, for the program alone.
        key: InstanceKey,
    },
    /// The key is longer than the outbox can index.
    #[error("a key of model `{model}` has {size} bytes, the outbox takes {limit}")]
    KeyTooLong {
        /// The model.
        model: String,
        /// The key, for the program alone.
        key: InstanceKey,
        /// Bytes of the key, `Model:id`.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Id or partition key holds the character NUL, which Postgres can't store in a text.
    #[error("id or partition key of an instance of model `{model}` holds a NUL")]
    Nul {
        /// The model.
        model: String,
        /// The key, for the program alone.
        key: InstanceKey,
    },
    /// The partition key is an empty text, which the Kafka clients refuse.
    #[error("the partition key of an instance of model `{model}` for topic `{topic}` is empty")]
    EmptyPartitionKey {
        /// The topic.
        topic: String,
        /// The model.
        model: String,
        /// The key, for the program alone.
        key: InstanceKey,
    },
    /// The attribute has no integer form, and the topology asks for the gem's integer partition keys.
    #[error(
        "attribute `{attribute}` of model `{model}` has no integer form, which partition keys of topic `{topic}` need"
    )]
    PartitionKeyNotInteger {
        /// The topic.
        topic: String,
        /// The model.
        model: String,
        /// The key, for the program alone.
        key: InstanceKey,
        /// The attribute.
        attribute: String,
    },
    /// The text is not a `traceparent` of the W3C.
    #[error("the trace context is malformed: {fault}")]
    TraceContext {
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The connection is at another depth of nesting than the stage: a nested transaction of sqlx is still open, or has been ended from
    /// outside. What would be staged now could outlive a roll-back of its change.
    #[error(
        "the stage belongs to depth {expected} of nested transactions, the connection is at {found}"
    )]
    OtherDepth {
        /// The depth at which the stage began; 1 is the transaction itself.
        expected: usize,
        /// The depth of the connection, as sqlx counts it.
        found: usize,
    },
    /// A stage was to be written on a connection without a transaction: change and event would not commit as one.
    #[error("the connection is not in a transaction")]
    NoTransaction,
    /// The database did not begin, nest or end the transaction.
    #[error("{action} failed")]
    Transaction {
        /// What was being done.
        action: &'static str,
        /// What the database or the connection said.
        #[source]
        source: sqlx::Error,
    },
    /// A statement of ours failed: schema, registration or outbox.
    #[error(transparent)]
    Postgres(#[from] dionysus_postgres::Error),
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Topology { mistakes } => Some(remedies(mistakes)),
            Self::ModelNotPublished { model } => Some(format!(
                "declare it: `.topic(\"..\", |t| t.publish::<{}>())`",
                model.rsplit("::").next().unwrap_or(model)
            )),
            Self::KeyNotPublished { .. } => {
                Some("give the full name of a declared topic, and a key `Model:id` of a model that it publishes".into())
            }
            Self::TooLarge { .. } => Some(
                "publish less of the model (`#[publishable(skip)]`), or raise `max_message_bytes` of the topic here, `message.max.bytes` of the relay and `max.message.bytes` of the topic in Kafka".into(),
            ),
            Self::Snapshot { source, .. } => source.remedy(),
            Self::Unreadable { .. } => Some(
                "read the cause: each field needs a column of its name in the table, or in the query given by `select`".into(),
            ),
            Self::EmptyId { .. } => Some("pass the row as the database returned it (`returning *`)".into()),
            Self::KeyTooLong { .. } => Some("use a shorter primary key".into()),
            Self::Nul { .. } => Some("remove the NUL character".into()),
            Self::EmptyPartitionKey { .. } => {
                Some("yield no partition key (`None`) instead of an empty one: the message's key is then used".into())
            }
            Self::PartitionKeyNotInteger { .. } => Some(
                "choose another attribute, compute the key (`partition_key_with`), or leave `integer_partition_keys` off".into(),
            ),
            Self::TraceContext { .. } => Some(
                "pass the header `traceparent` as it was received; without a valid one, stage without trace context".into(),
            ),
            Self::OtherDepth { .. } => Some(
                "commit or roll back the nested transaction first, or nest with `savepoint()`, which has a stage of its own".into(),
            ),
            Self::NoTransaction => {
                Some("begin a transaction with sqlx (`pool.begin()`), or let `Outbox::begin` do both".into())
            }
            Self::Transaction { source: sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut, .. } => {
                Some("check that Postgres runs, and that the pool has connections left".into())
            }
            Self::Transaction { .. } => None,
            Self::Postgres(error) => error.remedy(),
        }
    }

    /// The key, `Model:id`, of the instance that was refused; `None` where no instance was.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::TooLarge { key, .. }
            | Self::KeyNotPublished { key, .. }
            | Self::Snapshot { key, .. }
            | Self::EmptyId { key, .. }
            | Self::KeyTooLong { key, .. }
            | Self::Nul { key, .. }
            | Self::EmptyPartitionKey { key, .. }
            | Self::PartitionKeyNotInteger { key, .. } => Some(key.as_str()),
            Self::Topology { .. }
            | Self::ModelNotPublished { .. }
            | Self::Unreadable { .. }
            | Self::TraceContext { .. }
            | Self::OtherDepth { .. }
            | Self::NoTransaction
            | Self::Transaction { .. }
            | Self::Postgres(_) => None,
        }
    }

    /// Wraps a failure of sqlx with what was being done.
    pub(crate) fn during(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Transaction { action, source }
    }
}

fn count(mistakes: &[Mistake]) -> String {
    match mistakes.len() {
        1 => "a mistake".into(),
        n => format!("{n} mistakes"),
    }
}

fn join(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Each remedy once, in order.
fn remedies(mistakes: &[Mistake]) -> String {
    let mut all: Vec<String> = Vec::new();
    for remedy in mistakes.iter().map(Mistake::remedy) {
        if !all.contains(&remedy) {
            all.push(remedy);
        }
    }
    all.join("; ")
}
