//! The side of a subscriber that librdkafka sees: callbacks, its consumer queue, seeking.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;

use super::assignment::Assignment;
use super::{Inner, Record, StartAt, SubscriberEvent, TopicPartition};
use crate::{Code, Error, log};

/// How long a partition may take to start: librdkafka first stops those that were taken away.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts.
const START_INTERVAL: Duration = Duration::from_millis(10);

/// Collects what callbacks say until [`Inner::collect`] looks. All of them run on the thread that polls.
#[derive(Default)]
pub(super) struct Context {
    assignment: Mutex<Assignment>,
    rebalances: Mutex<VecDeque<SubscriberEvent>>,
    /// The words that came with the error that is returned next.
    reason: Mutex<String>,
    /// Counts callbacks: an empty answer of a poll means an empty queue only if no callback ran.
    served: AtomicU64,
}

impl Context {
    pub(super) fn assignment(&self) -> MutexGuard<'_, Assignment> {
        self.assignment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_rebalances(&self) -> Vec<SubscriberEvent> {
        let mut rebalances = self.rebalances.lock().unwrap_or_else(PoisonError::into_inner);
        rebalances.drain(..).collect()
    }

    pub(super) fn take_reason(&self) -> String {
        std::mem::take(&mut *self.reason.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.count();
        log::forward(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.count();
        log::global_error(&error, reason);
        reason.clone_into(&mut self.reason.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn stats_raw(&self, _: &[u8]) {
        self.count();
    }
}

impl ConsumerContext for Context {
    /// Takes note, and hands nothing to librdkafka yet: a partition that it does not know it cannot fetch. It learns of it, with
    /// the place to begin, in [`Assignment::start`].
    ///
    /// The obvious alternative, to assign the partitions paused and to seek them later, has a race: librdkafka asks its broker for
    /// the place of a partition that has none, and an answer that comes after the seek makes it ask, and begin, there again.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        self.count();
        let named = name(partitions);
        // Held until librdkafka has answered, or a partition could start while it is taken away.
        let mut assignment = self.assignment();
        let assigned = err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let lost = !assigned && consumer.assignment_lost();
        let done = if assigned {
            assignment.add(&named);
            consumer.incremental_assign(&TopicPartitionList::new())
        } else {
            consumer.incremental_unassign(&assignment.remove(&named))
        };
        if let Err(error) = done {
            tracing::error!(%error, "rebalance cannot be answered");
        }
        // A cooperative group says so, too, when nothing changes for this member.
        if !named.is_empty() {
            let mut rebalances = self.rebalances.lock().unwrap_or_else(PoisonError::into_inner);
            rebalances.push_back(match (assigned, lost) {
                (true, _) => SubscriberEvent::Assigned(named),
                (false, true) => SubscriberEvent::Lost(named),
                (false, false) => SubscriberEvent::Revoked(named),
            });
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.count();
        if let Err(error) = result {
            tracing::debug!(%error, "offsets for lag tools are not committed");
        }
    }
}

fn name(partitions: &TopicPartitionList) -> Vec<TopicPartition> {
    let named = |e: &TopicPartitionListElem<'_>| TopicPartition {
        topic: e.topic().to_owned(),
        partition: e.partition(),
    };
    partitions.elements().iter().map(named).collect()
}

impl Record {
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers_of(message),
        }
    }
}

/// `rdkafka` panics at a header whose name is not UTF-8, which any producer can send.
fn headers_of(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let Some(headers) = message.headers() else {
        return Vec::new();
    };
    let read = |index| {
        let header = headers.try_get(index)?;
        Some((header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
    };
    (0..headers.count())
        .filter_map(|index| {
            catch_unwind(AssertUnwindSafe(|| read(index))).unwrap_or_else(|_| {
                let (topic, partition, offset) =
                    (message.topic(), message.partition(), message.offset());
                tracing::warn!(
                    topic,
                    partition,
                    offset,
                    "message has a header without a readable name"
                );
                None
            })
        })
        .collect()
}

impl Inner {
    /// Serves callbacks and empties the consumer queue of errors that belong to no partition. Messages in it would have been
    /// fetched before their partition was sought, and come again.
    pub(super) fn serve(&self) {
        let context = self.consumer.context();
        loop {
            let before = context.served.load(Ordering::Relaxed);
            match self.consumer.poll(Duration::ZERO) {
                Some(Err(error)) => {
                    let failure = self.failure(&error, context.take_reason());
                    self.failures.lock().unwrap_or_else(PoisonError::into_inner).extend(failure);
                }
                None if context.served.load(Ordering::Relaxed) == before => return,
                Some(Ok(_)) | None => {}
            }
        }
    }

    /// What an error of the consumer queue means to the caller; `None` where librdkafka deals with it.
    fn failure(&self, error: &KafkaError, reason: String) -> Option<Error> {
        let source = Code::of(error);
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            return Some(Error::Fatal { reason, source: Code(code) });
        }
        match source.0 {
            // One broker, or one connection: others may do. Polled too late: the event `Lost` says it.
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::PollExceeded => None,
            RDKafkaErrorCode::AllBrokersDown => Some(Error::unreachable(&self.config, source)),
            _ if source.is_unknown_topic() => Some(match missing_topic(&reason) {
                Some(topic) => Error::UnknownTopic { topic: topic.to_owned() },
                None => Error::Read { reason, source },
            }),
            _ => Some(Error::Read { reason, source }),
        }
    }

    /// Blocks; see [`Subscriber::start_at`](super::Subscriber::start_at).
    pub(super) fn start(&self, topic: &str, partition: i32, at: StartAt) -> Result<(), Error> {
        let generation = self.assignment().generation(topic, partition)?;
        let begin = match at {
            StartAt::Beginning => Offset::Beginning,
            StartAt::Offset(offset) => {
                let (low, high) = self.watermarks(topic, partition)?;
                if !(low..=high).contains(&offset) {
                    let topic = topic.to_owned();
                    let log = Some((low, high));
                    return Err(Error::OffsetOutsideLog { topic, partition, offset, log });
                }
                Offset::Offset(offset)
            }
        };
        self.begin(topic, partition, generation, begin)
    }

    fn begin(&self, topic: &str, partition: i32, generation: u64, at: Offset) -> Result<(), Error> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            // The lock is given up between attempts: a rebalance may be what keeps the partition from starting.
            let attempt = self.assignment().start(self, topic, partition, generation, at)?;
            let Err(error) = attempt else {
                self.ready.notify_one();
                return Ok(());
            };
            let code = Code::of(&error);
            let waits = matches!(
                code.0,
                // `Fail`: rdkafka has the code of a whole request as text only, and it fails by time-out only.
                RDKafkaErrorCode::State
                    | RDKafkaErrorCode::PreviousInProgress
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::Fail
            );
            if !waits || Instant::now() >= deadline {
                return Err(Error::about_topic(&self.config, topic, code));
            }
            thread::sleep(START_INTERVAL);
        }
    }
}

/// The topic in `Subscribed topic not available: NAME: Broker: Unknown topic or partition`.
fn missing_topic(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("topic not available: ")?;
    rest.split(':').next()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Admin, ClientConfig, NewTopic, Subscriber, SubscriberOptions};

    #[test]
    fn a_missing_topic_is_named() {
        let reason =
            "Subscribed topic not available: v3_rentals: Broker: Unknown topic or partition";
        assert_eq!(missing_topic(reason), Some("v3_rentals"));
        assert_eq!(missing_topic("something else"), None);
    }

    #[tokio::test]
    async fn a_position_that_leaves_the_log_while_reading_is_an_error_that_names_it() {
        let config = ClientConfig::new(dionysus_embedded::testing::brokers().await);
        let name = dionysus_embedded::testing::topic("outside");
        let topic = NewTopic { name: name.clone(), partitions: 1, ..NewTopic::default() };
        Admin::new(&config).unwrap().create_topics(&[topic]).await.unwrap();
        let subscriber = Subscriber::new(&config, &SubscriberOptions::new(&name)).unwrap();
        subscriber.subscribe(std::slice::from_ref(&name)).unwrap();
        let wait = Duration::from_secs(30);
        let events = subscriber.next(1, 1, wait).await.unwrap();
        assert!(matches!(events[..], [SubscriberEvent::Assigned(_)]), "{events:?}");

        // What `start_at` does, without its look at the log: as if retention had passed by since.
        let inner = Arc::clone(&subscriber.inner);
        let topic = name.clone();
        let started = tokio::task::spawn_blocking(move || {
            let generation = inner.assignment().generation(&topic, 0)?;
            inner.begin(&topic, 0, generation, Offset::Offset(5))
        });
        started.await.unwrap().unwrap();
        let error = subscriber.next(1, 1, wait).await.unwrap_err();
        assert_eq!(error.to_string(), format!("offset 5 of {name}[0] lies outside the log"));
    }
}
