//! Handing messages to Kafka.
//!
//! librdkafka copies a message into its queue and returns; its broker threads gather messages per partition into
//! batches, send up to five requests ahead, retry, and hand a delivery report to whoever polls. So *published* means
//! "the report came back without error", never "handed over", and the way to throughput is to keep the queue filled
//! and never to wait for a single message.
//!
//! **Order.** Idempotence numbers the messages of a partition, so that retries neither duplicate nor overtake. What it
//! leaves open is a message that fails for good: the ones behind it would pass. `enable.gapless.guarantee` makes that
//! fatal for the client. The owner then makes a new one and starts again at its first message that is not acknowledged.
//! One hole stays: a message that times out in the queue (`message.timeout.ms`) does not count as a gap. Owners
//! therefore [`purge`](Publisher::purge) by a clock of their own, well before (about 60 % of `message_timeout`).
//!
//! **Partitions.** A message with a partition key goes to [`dionysus_core::partition_of`] of it, which needs the
//! number of partitions: asked once per topic ([`Publisher::refresh_topic`]) and kept. Without one, librdkafka hashes the
//! message key (`consistent_random`, the same CRC32).

mod delivery;
mod message;
mod native;
mod options;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, Producer, PurgeConfig};

pub use delivery::{DeliveryError, DeliverySink, Disposition};
pub use message::{OutgoingMessage, PublishError};
pub use options::{Compression, PublisherOptions};

use crate::{ClientConfig, Code, Error};
use native::Context;

/// How long a question about a topic may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// How often [`Publisher::flush`] looks whether all is acknowledged.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);

/// An idempotent producer whose acknowledgements go to `S`.
///
/// All methods may be called from any thread. Dropping it purges what is queued and in flight and returns at once; the
/// sink still hears of each of those messages, from the client's thread, shortly after. Use [`close`](Self::close) to
/// wait for that.
pub struct Publisher<S: DeliverySink> {
    /// The client's thread holds the other reference, and ends when it is the last one.
    producer: Arc<BaseProducer<Context<S>>>,
    thread: Option<JoinHandle<()>>,
    partitions: RwLock<HashMap<String, u32>>,
    config: ClientConfig,
}

impl<S: DeliverySink> Publisher<S> {
    /// Makes a client. No broker needs to be reachable yet.
    ///
    /// # Errors
    /// What is wrong with the configuration ([`Error::NoBrokers`], [`Error::OwnedProperty`], [`Error::Property`],
    /// [`Error::Client`]); [`Error::Thread`].
    pub fn new(
        config: &ClientConfig,
        options: &PublisherOptions,
        sink: Arc<S>,
    ) -> Result<Self, Error> {
        let native = config.native(PublisherOptions::defaults(), options.owned())?;
        let producer: BaseProducer<Context<S>> =
            native.create_with_context(Context(sink)).map_err(ClientConfig::refused)?;
        let producer = Arc::new(producer);
        let thread = native::serve(Arc::clone(&producer)).map_err(Error::Thread)?;
        Ok(Self {
            producer,
            thread: Some(thread),
            partitions: RwLock::default(),
            config: config.clone(),
        })
    }

    /// Hands one message over; never blocks. `ticket` comes back to the sink, exactly once, if and only if this returns
    /// `Ok`. Messages of one partition are published in the order of these calls.
    ///
    /// # Errors
    /// See [`PublishError`]; the message was not taken.
    pub fn publish(
        &self,
        message: &OutgoingMessage<'_>,
        ticket: usize,
    ) -> Result<(), PublishError> {
        let Some(partitions) = self.known_partitions(message.topic) else {
            return Err(PublishError::UnknownPartitions { topic: message.topic.to_owned() });
        };
        let record = message.record(partitions, ticket);
        self.producer.send(record).map_err(|(error, _)| {
            let error = PublishError::of(Code::of(&error), message);
            if matches!(error, PublishError::UnknownPartitions { .. }) {
                self.forget_topic(message.topic);
            }
            error
        })
    }

    /// Asks the brokers for the number of partitions of a topic and keeps it for [`publish`](Self::publish).
    ///
    /// Never creates the topic. Instances move to other partitions when the number has grown since.
    ///
    /// # Cancel safety
    /// Safe: the question goes on in the background, its answer is dropped.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::Topic`] (no right to see it), [`Error::Unreachable`] after 5 s.
    pub async fn refresh_topic(&self, topic: &str) -> Result<u32, Error> {
        let producer = Arc::clone(&self.producer);
        let name = topic.to_owned();
        let answer = tokio::task::spawn_blocking(move || {
            native::count_partitions(producer.client(), &name, METADATA_TIMEOUT)
        })
        .await?;
        match answer {
            Ok(partitions) => {
                let mut known = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(topic.to_owned(), partitions);
                Ok(partitions)
            }
            Err(code) => {
                self.forget_topic(topic);
                Err(Error::about_topic(&self.config, topic, code))
            }
        }
    }

    /// Messages handed over whose sink has not heard of them yet. Counts a few internal events of librdkafka too: 0 is
    /// exact, other numbers are estimates.
    pub fn in_flight(&self) -> i32 {
        self.producer.in_flight_count()
    }

    /// Waits until the sink has heard of all messages.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    ///
    /// # Errors
    /// [`Error::Fatal`] as soon as the client cannot go on; [`Error::Flush`] when the time is up. Messages stay queued.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let in_flight = self.in_flight();
            if in_flight == 0 {
                return Ok(());
            }
            if let Some(error) = self.fatal_error() {
                return Err(error);
            }
            let waited = started.elapsed();
            if waited >= timeout {
                return Err(Error::Flush { in_flight, waited });
            }
            tokio::time::sleep(FLUSH_INTERVAL.min(timeout.saturating_sub(waited))).await;
        }
    }

    /// Gives up everything that is queued or in flight. The sink gets [`DeliveryError::Purged`] for each, on the
    /// client's thread. A message that was in flight may still be appended by its broker.
    ///
    /// Returns when no queued message can be sent any more, which takes librdkafka's threads a moment.
    pub fn purge(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }

    /// Why this client cannot be used any more, if so: make a new one and start again at the first message that is not
    /// acknowledged.
    pub fn fatal_error(&self) -> Option<Error> {
        let (code, reason) = self.producer.client().fatal_error()?;
        Some(Error::Fatal { reason, source: Code(code) })
    }

    /// Purges, waits until the sink has heard of every message, and ends the client with its threads.
    ///
    /// # Cancel safety
    /// Safe: the client ends in the background.
    ///
    /// # Errors
    /// [`Error::Abandoned`] if the client's thread or the runtime came to an early end.
    pub async fn close(mut self) -> Result<(), Error> {
        let thread = self.thread.take();
        drop(self);
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
            joined.map_err(|_| Error::Abandoned)?;
        }
        Ok(())
    }

    fn known_partitions(&self, topic: &str) -> Option<u32> {
        let known = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        known.get(topic).copied()
    }

    fn forget_topic(&self, topic: &str) {
        let mut known = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(topic);
    }
}

impl<S: DeliverySink> Drop for Publisher<S> {
    fn drop(&mut self) {
        // Not waiting for the broker threads: one of them may be busy resolving a name.
        self.producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
    }
}

impl<S: DeliverySink> fmt::Debug for Publisher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("config", &self.config)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
