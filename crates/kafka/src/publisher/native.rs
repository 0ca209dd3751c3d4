//! The side of a publisher that librdkafka sees: callbacks, the thread that serves them, metadata.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};

use super::{DeliveryError, DeliverySink};
use crate::{Code, log};

/// How long the client's thread waits for a report before it looks whether it is still needed.
const SERVE_INTERVAL: Duration = Duration::from_millis(50);

/// How long a dropped client's thread goes on reporting purged messages.
const LAST_REPORTS: Duration = Duration::from_secs(5);

pub(super) struct Context<S>(pub(super) Arc<S>);

impl<S: DeliverySink> ClientContext for Context<S> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::forward(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::global_error(&error, reason);
    }

    fn stats_raw(&self, _: &[u8]) {}
}

impl<S: DeliverySink> ProducerContext for Context<S> {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, ticket: usize) {
        let outcome = match report {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(DeliveryError::of(Code::of(error))),
        };
        // A panic must not end the thread that all other tickets wait for.
        if catch_unwind(AssertUnwindSafe(|| self.0.delivered(ticket, outcome))).is_err() {
            tracing::error!("delivery sink panicked");
        }
    }
}

/// Starts the thread that hears delivery reports. It ends, and destroys the client, when nobody else holds it: so a
/// publisher can be dropped anywhere without waiting.
pub(super) fn serve<S: DeliverySink>(
    producer: Arc<BaseProducer<Context<S>>>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("dionysus-publish".into()).spawn(move || {
        while Arc::strong_count(&producer) > 1 {
            producer.poll(SERVE_INTERVAL);
        }
        let started = Instant::now();
        while producer.in_flight_count() > 0 && started.elapsed() < LAST_REPORTS {
            producer.poll(SERVE_INTERVAL);
        }
    })
}

/// Blocks for up to `timeout`.
pub(super) fn count_partitions<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<u32, Code> {
    let metadata = client.fetch_metadata(Some(topic), timeout).map_err(|e| Code::of(&e))?;
    let unknown = Code(RDKafkaErrorCode::UnknownTopicOrPartition);
    let found = metadata.topics().first().ok_or(unknown)?;
    if let Some(error) = found.error() {
        return Err(Code(error.into()));
    }
    match u32::try_from(found.partitions().len()) {
        Ok(partitions) if partitions > 0 => Ok(partitions),
        _ => Err(unknown),
    }
}
