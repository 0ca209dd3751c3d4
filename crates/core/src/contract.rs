//! The payload contract of topics: what consumers are promised, as one AsyncAPI 3 document, and what breaks them.
//!
//! # Why
//! A topic outlives the code on both of its sides. An application registers with each topic what it publishes there, derived from its models
//! ([`Schema::snapshot_of`](crate::Schema::snapshot_of)); from this the document is written, by the application or by `dionysus topics
//! --asyncapi` without it, and two documents tell whether a consumer that was right about the old one can trip over the new one.
//!
//! # What the document says, and where
//! | promise | place in the document |
//! | --- | --- |
//! | topics and genesis twins | `channels`, with Kafka's bindings |
//! | one message for each event of each model, and the tombstone | `components.messages`, with the pattern of the key |
//! | the snapshot of a model | `components.schemas`, in draft 07 |
//! | what travels beside the value | `components.schemas.headers` |
//! | partition key, soft delete, namespace | `x-dionysus` of the channel: AsyncAPI has no place of its own for them |

mod asyncapi;
mod compare;
mod diff;
mod message;
mod read;
mod topic;

pub use asyncapi::document;
pub use diff::{Change, ChangeKind, diff};
pub use read::{ReadError, read};
pub use topic::{ModelContract, TopicContract};
