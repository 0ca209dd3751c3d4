//! What can go wrong in a consumer.

use std::fmt::Write as _;

use crate::check::ReplicaFault;
use crate::decode::Malformed;

/// An error of this crate.
///
/// [`Consumer::run`](crate::Consumer::run) returns those that concern the whole consumer. Those of one partition stop that partition alone: they are logged, shown by
/// [`Progress`](crate::Progress), and tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The consumer can't be built as it was described.
    #[error("the consumer is not configured right: {}", .faults.join("; "))]
    Invalid {
        /// One line a fault; never empty.
        faults: Vec<String>,
    },
    /// Tables of replicas are missing or not as the mappings say.
    #[error("{}", shown(.faults))]
    Replicas {
        /// All of them; never empty.
        faults: Vec<ReplicaFault>,
    },
    /// Postgres failed, or lacks our schema.
    #[error(transparent)]
    Database(#[from] dionysus_postgres::Error),
    /// Kafka failed.
    #[error(transparent)]
    Kafka(#[from] dionysus_kafka::Error),
    /// A message can't be decoded. Its partition waits.
    #[error("the message at {topic}[{partition}]@{offset} cannot be decoded")]
    Malformed {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The message's offset.
        offset: i64,
        /// The consumer group.
        group: String,
        /// What is wrong with it.
        #[source]
        source: Malformed,
    },
    /// A message can't be written to its replica: a value that the column can't hold, a constraint, a trigger. Its partition waits.
    #[error("the message at {topic}[{partition}]@{offset} cannot be written{}", place(.source))]
    Write {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The message's offset.
        offset: i64,
        /// The consumer group.
        group: String,
        /// What Postgres says. Its text may quote values of the message: not for logs.
        #[source]
        source: dionysus_postgres::Error,
    },
    /// The stored offset is not in the log: messages were deleted before they were read, or the topic was made anew. The partition waits.
    #[error("the stored offset of {topic}[{partition}] is not in the log")]
    OutsideLog {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The consumer group.
        group: String,
        /// What Kafka says.
        #[source]
        source: dionysus_kafka::Error,
    },
    /// The partition's offset in Postgres is not where this consumer left it: another member owns the partition, or somebody has moved it. Nothing was
    /// changed; if the partition is still ours, it goes on from the stored offset.
    #[error("the offset of {topic}[{partition}] was moved by somebody else")]
    Fenced {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
}

impl Error {
    /// What to do about it; names the command or the statement.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } => {
                Some("correct the configuration; each fault names the field".into())
            }
            Self::Replicas { faults } => {
                let statements: Vec<&str> = faults.iter().filter_map(ReplicaFault::ddl).collect();
                Some(if statements.is_empty() {
                    "correct the mappings".into()
                } else {
                    format!(
                        "correct the mappings, or run (types are guesses): {}",
                        statements.join(" ")
                    )
                })
            }
            Self::Database(error) => error.remedy(),
            Self::OutsideLog { topic, partition, group, .. } => Some(format!(
                "messages are missing: start a genesis run with `dionysus genesis start --topic {topic}`, and let this consumer begin at the start of \
                 the log: delete from dionysus.consumer_offsets where {}",
                row(group, topic, *partition)
            )),
            Self::Kafka(error) => error.remedy(),
            Self::Malformed { topic, partition, offset, group, .. } => Some(format!(
                "correct the producer; to leave the message out for good: {}",
                skip(group, topic, *partition, *offset)
            )),
            Self::Write { topic, partition, offset, group, .. } => Some(format!(
                "correct the replica's table or the producer; to leave the message out for good: {}",
                skip(group, topic, *partition, *offset)
            )),
            Self::Fenced { .. } => None,
        }
    }

    /// The error with its remedy, in one line and without anything that a message holds.
    pub(crate) fn line(&self) -> String {
        let mut line = self.to_string();
        // Writing to a string can't fail.
        match self {
            Self::Malformed { source, .. } => write!(line, ": {source}").unwrap_or_default(),
            Self::OutsideLog { source, .. } => write!(line, ": {source}").unwrap_or_default(),
            _ => {}
        }
        if let Some(remedy) = self.remedy() {
            write!(line, " ({remedy})").unwrap_or_default();
        }
        line
    }
}

/// The statement that moves a group over one message. A running consumer notices.
fn skip(group: &str, topic: &str, partition: i32, offset: i64) -> String {
    let (next, row) = (offset + 1, row(group, topic, partition));
    format!("update dionysus.consumer_offsets set next_offset = {next} where {row}")
}

fn row(group: &str, topic: &str, partition: i32) -> String {
    let group = group.replace('\'', "''");
    format!("consumer_group = '{group}' and topic = '{topic}' and partition = {partition}")
}

fn shown(faults: &[ReplicaFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The code and the names in a database's error; its text may quote values.
pub(crate) fn place(error: &dionysus_postgres::Error) -> String {
    let dionysus_postgres::Error::Statement { source, .. } = error else {
        return format!(": {error}");
    };
    let Some(database) = source.as_database_error() else { return format!(": {error}") };
    let mut text = database.code().map_or_else(String::new, |code| format!(": SQLSTATE {code}"));
    for (what, name) in [("table", database.table()), ("constraint", database.constraint())] {
        if let Some(name) = name {
            write!(text, ", {what} {name}").unwrap_or_default();
        }
    }
    text
}
