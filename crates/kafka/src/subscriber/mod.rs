//! Reading topics as a member of a consumer group.
//!
//! The group decides *who* reads a partition; *where* to read is the caller's, since progress is stored in Postgres
//! together with its effect. So a newly assigned partition is not fetched at all: the caller loads its offset and calls
//! [`Subscriber::start_at`], which is when librdkafka learns of it. Kafka's own committed offsets are written for lag tools and
//! never read.
//!
//! Each partition has a queue of its own in librdkafka: bounded, fetched ahead, and known by name when an error comes out
//! of it. [`Subscriber::next`] empties those queues into one batch per partition; a partition that is
//! [paused](Subscriber::pause) is not emptied, its queue fills up to its bound and librdkafka stops fetching it, without
//! a rebalance and without slowing the others.
//!
//! Hand-over is cooperative: a rebalance takes away the partitions that move and leaves the rest running. Between a
//! revocation and its event a batch may already be in the caller's hands: the compare-and-set of the offset in Postgres
//! is what makes that harmless.

mod assignment;
mod event;
mod native;
mod options;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

pub use event::{PartitionBatch, Record, StartAt, SubscriberEvent, TopicPartition};
pub use options::SubscriberOptions;

use crate::{ClientConfig, Code, Error, dispose};
use assignment::Assignment;
use native::Context;

/// How long a question about a partition may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long [`Subscriber::close`] waits for the group to be left.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait without serving librdkafka, should a wake-up of its queues go missing.
const SERVE_INTERVAL: Duration = Duration::from_millis(250);

/// A member of a consumer group.
///
/// [`next`](Self::next) must be called again and again, at least once per `poll_interval_max`, or the group takes the
/// partitions away. Dropping it leaves the group in the background; [`close`](Self::close) waits for that.
pub struct Subscriber {
    inner: Arc<Inner>,
    /// Somebody waits for the last owner already; two would wait for each other.
    closing: bool,
}

/// What blocking requests share with the subscriber.
struct Inner {
    failures: Mutex<VecDeque<Error>>,
    ready: Arc<Notify>,
    consumer: Arc<BaseConsumer<Context>>,
    config: ClientConfig,
}

impl Subscriber {
    /// Makes a client. No broker needs to be reachable yet, and no group is joined.
    ///
    /// # Errors
    /// What is wrong with the configuration: [`Error::NoBrokers`], [`Error::OwnedProperty`], [`Error::Property`],
    /// [`Error::Client`].
    pub fn new(config: &ClientConfig, options: &SubscriberOptions) -> Result<Self, Error> {
        let native = config.native(SubscriberOptions::defaults(), options.owned())?;
        let mut consumer: BaseConsumer<Context> =
            native.create_with_context(Context::default()).map_err(ClientConfig::refused)?;
        let ready = Arc::new(Notify::new());
        let wake_up = Arc::clone(&ready);
        consumer.set_nonempty_callback(move || wake_up.notify_one());
        Ok(Self {
            inner: Arc::new(Inner {
                failures: Mutex::default(),
                ready,
                consumer: Arc::new(consumer),
                config: config.clone(),
            }),
            closing: false,
        })
    }

    /// Joins the group for these topics, instead of those before. A topic need not exist yet: that is an error of
    /// [`next`](Self::next), and the topic is picked up when it appears (looked for every few minutes).
    ///
    /// # Errors
    /// [`Error::Read`] if the client is closed or fatally broken.
    pub fn subscribe(&self, topics: &[String]) -> Result<(), Error> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.inner
            .consumer
            .subscribe(&names)
            .map_err(|error| Error::Read { reason: error.to_string(), source: Code::of(&error) })
    }

    /// The next events: changes of the assignment, or what has been fetched, at most one batch per partition, in all at
    /// most `max_records` records and (but for the last one) `max_bytes` bytes. Waits up to `max_wait` for the first
    /// event and not for batches to fill; an empty answer means that nothing came.
    ///
    /// Events come in their order: after [`Revoked`](SubscriberEvent::Revoked) or [`Lost`](SubscriberEvent::Lost) there is
    /// no batch of that partition before it is assigned and started again. One caller at a time.
    ///
    /// # Cancel safety
    /// Safe: whatever has been taken from librdkafka is returned without waiting.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::UnknownTopic`], [`Error::Topic`], [`Error::Read`]: librdkafka goes on trying, and so may
    /// the caller. [`Error::OffsetOutsideLog`]: this partition stands still until it is assigned anew, the others go
    /// on. [`Error::Fatal`]: make a new subscriber.
    pub async fn next(
        &self,
        max_records: usize,
        max_bytes: usize,
        max_wait: Duration,
    ) -> Result<Vec<SubscriberEvent>, Error> {
        let deadline = Instant::now() + max_wait;
        loop {
            let events = self.inner.collect(max_records.max(1), max_bytes.max(1))?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !events.is_empty() || left.is_zero() {
                return Ok(events);
            }
            // Elapsed or notified: either way it is time to look again.
            drop(timeout(left.min(SERVE_INTERVAL), self.inner.ready.notified()).await);
        }
    }

    /// Lets an assigned partition run from a position, not paused. Also rewinds one that runs already.
    ///
    /// # Cancel safety
    /// Safe to drop, but the partition may start nevertheless.
    ///
    /// # Errors
    /// [`Error::OffsetOutsideLog`] for a position that the log does not hold (the offset right behind the last message
    /// is fine). [`Error::NotAssigned`] if a rebalance was faster. [`Error::Unreachable`], [`Error::UnknownTopic`], [`Error::Topic`];
    /// after those the partition stays as it was.
    pub async fn start_at(&self, topic: &str, partition: i32, at: StartAt) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || inner.start(&topic, partition, at)).await?
    }

    /// Stops batches of a partition, at once; what is fetched ahead stays in its bounded queue.
    ///
    /// # Errors
    /// [`Error::NotAssigned`].
    pub fn pause(&self, topic: &str, partition: i32) -> Result<(), Error> {
        self.inner.assignment().set_paused(topic, partition, true)
    }

    /// Lets batches of a partition flow again. A partition that was never [started](Self::start_at) stays silent.
    ///
    /// # Errors
    /// [`Error::NotAssigned`].
    pub fn resume(&self, topic: &str, partition: i32) -> Result<(), Error> {
        self.inner.assignment().set_paused(topic, partition, false)?;
        self.inner.ready.notify_one();
        Ok(())
    }

    /// How often the end of a partition's log was reached since its last record was returned; 0 while there is more. The distance between the last
    /// record and the log's end does not say it: markers of transactions lie in the log, too, and are never returned.
    ///
    /// # Errors
    /// [`Error::NotAssigned`].
    pub fn ends(&self, topic: &str, partition: i32) -> Result<u64, Error> {
        self.inner.assignment().ends(topic, partition)
    }

    /// Tells Kafka how far the group has come, for tools that show lag. Returns at once; nothing depends on whether it
    /// works, so a refusal is only logged. `next_offset` is the offset behind the last applied record.
    ///
    /// # Errors
    /// [`Error::Topic`] if the offset cannot even be handed over.
    pub fn commit(&self, topic: &str, partition: i32, next_offset: i64) -> Result<(), Error> {
        let mut offsets = TopicPartitionList::with_capacity(1);
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(next_offset))
            .and_then(|()| self.inner.consumer.commit(&offsets, CommitMode::Async))
            .map_err(|error| Error::Topic { topic: topic.to_owned(), source: Code::of(&error) })
    }

    /// First offset in a partition's log, and the one behind its last committed message.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// [`Error::Unreachable`] after 5 s, [`Error::UnknownTopic`], [`Error::Topic`].
    pub async fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        let inner = Arc::clone(&self.inner);
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || inner.watermarks(&topic, partition)).await?
    }

    /// Leaves the group, so that others get the partitions at once, and ends the client. Waits up to 10 s for it.
    ///
    /// # Cancel safety
    /// Safe: it goes on in the background.
    pub async fn close(mut self) {
        // Nothing is ever sent: the end of the channel is the message.
        let (done, closed) = oneshot::channel::<()>();
        dispose::when_last(Arc::clone(&self.inner), move || drop(done));
        self.closing = true;
        drop(self);
        if timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("consumer group was not left in time");
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if !self.closing {
            dispose::when_last(Arc::clone(&self.inner), || ());
        }
    }
}

impl Inner {
    fn assignment(&self) -> MutexGuard<'_, Assignment> {
        self.consumer.context().assignment()
    }

    fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        self.consumer
            .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
            .map_err(|error| Error::about_topic(&self.config, topic, Code::of(&error)))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Each queue holds the consumer, which holds them.
        self.assignment().close_queues();
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
