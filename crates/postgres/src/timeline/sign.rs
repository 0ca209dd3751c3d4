//! The signs, in words.

use std::fmt;

/// How another history was recognised.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Sign {
    /// Another cluster.
    Cluster {
        /// The system identifier that was stored.
        stored: i64,
        /// That of the server.
        found: i64,
    },
    /// Another database of the cluster.
    Database {
        /// The object identifier that was stored.
        stored: i64,
        /// That of the database.
        found: i64,
    },
    /// A standby was promoted, or a backup recovered to a point in time.
    ServerTimeline {
        /// The server's timeline that was stored.
        stored: i32,
        /// The one it writes now.
        found: i32,
    },
    /// What this process stored durably is not there.
    WentBack,
    /// A stored cursor knows transactions that the server has not begun.
    CursorAhead {
        /// The lane.
        topic: String,
    },
    /// Kafka holds a number that the database has not given yet.
    BehindTopic {
        /// The topic.
        topic: String,
        /// The highest number seen there.
        version: i64,
        /// The last number given.
        seq: i64,
    },
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster { stored, found } => {
                write!(f, "it belonged to the cluster {stored}, and is in {found} now")
            }
            Self::Database { stored, found } => {
                write!(f, "it was the database with oid {stored}, and is {found} now")
            }
            Self::ServerTimeline { stored, found } => {
                write!(f, "the server was on timeline {stored}, and is on {found} now")
            }
            Self::WentBack => f.write_str("what was stored durably is gone"),
            Self::CursorAhead { topic } => {
                write!(f, "the cursor of lane `{topic}` lies ahead of the server")
            }
            Self::BehindTopic { topic, version, seq } => write!(
                f,
                "the topic `{topic}` holds version {version}, and the database has come to {seq} only"
            ),
        }
    }
}
