//! A row as the message it becomes, owned: for what stands in for Kafka in a test (`dionysus-testing`).

use dionysus_kafka::OutgoingMessage;
use dionysus_postgres::window::OutboxRow;

use crate::Error;
use crate::message::{HandOverError, Renderer};

/// What would be handed to the Kafka client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rendered {
    /// What the partition is chosen by; without it, the key.
    pub partition_key: Option<String>,
    /// The message key.
    pub key: Vec<u8>,
    /// The message value; `None` is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Rendered {
    /// Renders a row as the relay does.
    ///
    /// # Errors
    /// [`Error::Postgres`] if the row is not what the schema says, [`Error::Capture`] if a trigger wrote what has no form on the wire.
    pub fn of(row: &OutboxRow, topic: &str) -> Result<Self, Error> {
        let mut rendered = None;
        let taken = Renderer::default().with_message(row, topic, |message| {
            rendered = Some(Self::owned(message));
            Ok(())
        });
        match (taken, rendered) {
            (Ok(()), Some(rendered)) => Ok(rendered),
            (Err(HandOverError::Row(error)), _) => Err(error.into()),
            (Err(HandOverError::Capture(error)), _) => Err(error.into()),
            (taken, _) => unreachable!("a row was neither rendered nor refused: {taken:?}"),
        }
    }

    fn owned(message: &OutgoingMessage<'_>) -> Self {
        let header = |&(name, value): &(&str, &[u8])| (name.to_owned(), value.to_vec());
        Self {
            partition_key: message.partition_key.map(ToOwned::to_owned),
            key: message.key.to_vec(),
            payload: message.payload.map(<[u8]>::to_vec),
            headers: message.headers.iter().map(header).collect(),
        }
    }
}
