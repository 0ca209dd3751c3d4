//! One membership in the group: events of the subscriber go to workers, one per partition, until cancelled or until the client breaks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{
    Error as KafkaError, PartitionBatch, Subscriber, SubscriberEvent, TopicPartition,
};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::observe;
use crate::worker::{Exit, Shared, Worker};

/// Waits for events; between two, workers that ended are noticed at once.
const POLL_WAIT: Duration = Duration::from_secs(1);

/// How long transactions in flight may take at the end before they are rolled back.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// A zombie hears of its end from Kafka; until then it must not race the new owner for every batch.
const FENCED_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct Session {
    shared: Arc<Shared>,
    subscriber: Arc<Subscriber>,
    batch_bytes: usize,
    workers: JoinSet<Exit>,
    running: HashMap<TopicPartition, Running>,
}

struct Running {
    task: Id,
    batches: mpsc::Sender<PartitionBatch>,
    stop: CancellationToken,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, subscriber: Subscriber, batch_bytes: usize) -> Self {
        Self {
            shared,
            subscriber: Arc::new(subscriber),
            batch_bytes,
            workers: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    /// Runs until cancelled (`Ok`) or until the client can't go on; drains either way.
    pub(crate) async fn run(mut self, cancel: &CancellationToken) -> Result<(), Error> {
        // It holds the subscriber, which only its last owner can close.
        let mut look = JoinSet::new();
        look.spawn(observe::look(Arc::clone(&self.subscriber), Arc::clone(&self.shared.observer)));
        let ended = self.serve(cancel).await;
        if cancel.is_cancelled() {
            self.shared.observer.stopping();
        }
        look.shutdown().await;
        self.drain().await;
        ended
    }

    async fn serve(&mut self, cancel: &CancellationToken) -> Result<(), Error> {
        let subscriber = Arc::clone(&self.subscriber);
        loop {
            self.shared.observer.turn();
            // No arm loses anything when another wins: see `next`; `join_next` only takes what it returns.
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                Some(ended) = self.workers.join_next_with_id() => self.worker_ended(ended),
                events = subscriber.next(self.shared.batch_records, self.batch_bytes, POLL_WAIT) => match events {
                    Ok(events) => events.into_iter().for_each(|event| self.dispatch(event)),
                    Err(error) => self.complain(error)?,
                },
            }
        }
    }

    fn dispatch(&mut self, event: SubscriberEvent) {
        match event {
            SubscriberEvent::Assigned(places) => {
                for place in places {
                    self.start(place, Duration::ZERO);
                }
            }
            // The stored offset fences what is still under way: there is nothing to wait for.
            SubscriberEvent::Revoked(places) | SubscriberEvent::Lost(places) => {
                for place in places {
                    tracing::info!(topic = %place.topic, partition = place.partition, "partition given up");
                    self.stop(&place);
                    self.shared.observer.given_up(&place);
                }
            }
            SubscriberEvent::Batch(batch) => self.hand_over(batch),
        }
    }

    fn start(&mut self, place: TopicPartition, delay: Duration) {
        self.stop(&place);
        self.shared.observer.assigned(&place);
        // One batch waits while one is applied. Full it can't be: the partition is paused until the worker has taken it.
        let (batches, received) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let worker = Worker {
            shared: Arc::clone(&self.shared),
            subscriber: Arc::clone(&self.subscriber),
            place: place.clone(),
            batches: received,
            stop: stop.clone(),
            delay,
        };
        let task = self.workers.spawn(worker.run()).id();
        self.running.insert(place, Running { task, batches, stop });
    }

    fn stop(&mut self, place: &TopicPartition) {
        if let Some(running) = self.running.remove(place) {
            running.stop.cancel();
            // What was wrong with it is the next owner's to say.
            self.shared.note(place, |progress| progress.fault = None);
        }
    }

    fn hand_over(&mut self, batch: PartitionBatch) {
        let place = TopicPartition { topic: batch.topic.clone(), partition: batch.partition };
        let Some(running) = self.running.get(&place) else { return };
        // Before the hand-over, or the worker's resume could come first and the pause would stay.
        self.pause(&place);
        if running.batches.try_send(batch).is_err() {
            // Dropping a batch and reading on would leave a hole.
            tracing::debug!(topic = %place.topic, partition = place.partition, "batch came for a worker that ended");
            self.start(place, Duration::ZERO);
        }
    }

    fn pause(&self, place: &TopicPartition) {
        if let Err(error) = self.subscriber.pause(&place.topic, place.partition) {
            tracing::debug!(topic = %place.topic, partition = place.partition, error = %error, "partition not paused");
        }
    }

    fn worker_ended(&mut self, ended: Result<(Id, Exit), JoinError>) {
        let (task, exit) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        let Some(place) =
            self.running.iter().find(|(_, r)| r.task == task).map(|(place, _)| place.clone())
        else {
            return;
        };
        self.pause(&place);
        match exit {
            Exit::Stopped => {
                self.stop(&place);
                self.shared.observer.given_up(&place);
            }
            Exit::Fenced => self.start(place, FENCED_WAIT),
        }
    }

    /// `Err`: only a new client helps.
    fn complain(&mut self, error: KafkaError) -> Result<(), Error> {
        match error {
            KafkaError::Fatal { .. } => Err(error.into()),
            // The partition stands still in the client; a new start says what is wrong and tries again.
            KafkaError::OffsetOutsideLog { topic, partition, .. } => {
                let place = TopicPartition { topic, partition };
                self.pause(&place);
                if self.running.contains_key(&place) {
                    self.start(place, FENCED_WAIT);
                }
                Ok(())
            }
            other => {
                let error = Error::from(other);
                tracing::warn!(error = %error.line(), "reading from Kafka is hindered");
                Ok(())
            }
        }
    }

    /// Transactions in flight end; then the group is left.
    async fn drain(mut self) {
        for (place, running) in &self.running {
            running.stop.cancel();
            self.shared.observer.given_up(place);
        }
        let all = async { while self.workers.join_next().await.is_some() {} };
        if timeout(DRAIN_LIMIT, all).await.is_err() {
            tracing::warn!("transactions are rolled back that did not end in time");
            self.workers.shutdown().await;
        }
        drop(self.workers);
        if let Some(subscriber) = Arc::into_inner(self.subscriber) {
            subscriber.close().await;
        }
    }
}
