//! Relay and consumer in memory, with a test in the place of Kafka.

mod lanes;
mod log;
mod message;

use dionysus_consumer::{Applier, Consumer, Report};
use sqlx::PgPool;

use self::lanes::Lanes;
use self::log::Log;
pub use self::log::LogRecord;
pub use self::message::Message;
use crate::Error;

/// As many as the relay gives a topic that it creates.
const PARTITIONS: u32 = 12;

/// A relay and a consumer without Kafka between them.
///
/// [`deliver`](Self::deliver) does what both do when they are left alone. Between its halves, [`publish`](Self::publish) and
/// [`consume`](Self::consume), the messages are a `Vec` in the hands of the test: turn them round, leave some out, give them twice, keep them for later.
///
/// # What is real
/// The reading (the snapshot cursor of [`dionysus_postgres::window`]), the rendering, the choice of the partition, decoding, folding, guards, tables, and
/// the stored offsets: what is applied is what the real consumer would apply, in the same transactions.
///
/// # What is not
/// There is no lease, and the lanes' stored cursors stay as they are: each pair begins at the start of the outbox. Kafka's limits (the size of a message)
/// are not held. A partition that can't go on is an error at once, where the real consumer waits and tries again.
///
/// # Examples
/// ```no_run
/// # #[derive(dionysus_derive::Replica)]
/// # #[replica(crate = "dionysus_core", model = "Rental", table = "rental_copies")]
/// # struct RentalCopy { synced_id: i64, name: String }
/// # async fn test(database: dionysus_testing::TestDatabase) -> Result<(), Box<dyn std::error::Error>> {
/// use dionysus_consumer::Replica as _;
/// use dionysus_testing::Pair;
///
/// let consumer = database.consumer().topic("v3_rentals", [RentalCopy::mapping()]).build()?;
/// let mut pair = Pair::new(&database.pool, &consumer).await?;
///
/// // The application creates a rental and renames it.
/// let mut messages = pair.publish().await?;
/// messages.reverse();
/// let delivery = pair.consume(messages).await?; // the newest wins, whatever the order
/// assert_eq!(delivery.messages.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pair {
    lanes: Lanes,
    log: Log,
    applier: Applier,
}

/// What a call brought to the log, and what came of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The messages, in the order in which they came to the log.
    pub messages: Vec<Message>,
    /// What the consumer did: records applied, refused by a guard, superseded, ignored.
    pub report: Report,
}

impl Pair {
    /// A relay of the outbox in this database, and this consumer, wherever its replicas are. Nothing is read yet.
    ///
    /// # Errors
    /// As the real ones: [`Error::Postgres`] without our schema or on a standby, [`Error::Consumer`] when tables are not as the mappings say.
    pub async fn new(outbox: &PgPool, consumer: &Consumer) -> Result<Self, Error> {
        Ok(Self {
            lanes: Lanes::connect(outbox).await?,
            log: Log::new(PARTITIONS),
            applier: Applier::new(consumer).await?,
        })
    }

    /// How many partitions each topic has. Default 12. To be set before anything is delivered.
    #[must_use]
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.log = Log::new(partitions);
        self
    }

    /// How many rows the relay reads at once. Default 5,000, as the relay's.
    #[must_use]
    pub fn chunk_rows(mut self, rows: u32) -> Self {
        self.lanes.chunk_rows = rows.max(1);
        self
    }

    /// Publishes what has been committed since the last time, and applies it.
    ///
    /// # Errors
    /// As [`publish`](Self::publish) and [`consume`](Self::consume).
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the pair with the future.
    pub async fn deliver(&mut self) -> Result<Delivery, Error> {
        let messages = self.publish().await?;
        self.consume(messages).await
    }

    /// The relay's half: the messages of all topics that have been committed since the last time, by version; of a topic with a twin, each for
    /// both. They are not in the log before they are given to [`consume`](Self::consume).
    ///
    /// # Errors
    /// [`Error::Postgres`]; [`Error::Relay`]: a row can't be made a message. Nothing is passed then.
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the pair with the future.
    pub async fn publish(&mut self) -> Result<Vec<Message>, Error> {
        self.lanes.publish().await
    }

    /// The consumer's half: the messages come to the end of the log, in this order, each in its partition; then each partition of the consumer's topics
    /// is applied up to its end.
    ///
    /// # Errors
    /// [`Error::Consumer`]: a message can't be decoded or written. What lies before it in its partition is applied. As in the real consumer it stays where it is
    /// and is tried again by the next call.
    ///
    /// # Cancel safety
    /// What is in flight is rolled back; the messages stay in the log, and the next call goes on.
    pub async fn consume(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Delivery, Error> {
        let messages: Vec<Message> = messages.into_iter().collect();
        for message in &messages {
            self.log.append(message.clone(), &self.applier).await?;
        }
        self.log.apply(&self.applier).await?;
        Ok(Delivery { messages, report: self.applier.take_report() })
    }

    /// Everything that came to the log, in that order.
    pub fn log(&self) -> &[LogRecord] {
        self.log.records()
    }
}
