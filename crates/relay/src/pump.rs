//! The loop: read, hand over, settle, store.
//!
//! One task owns all lanes of the relay, so their states need no lock. Reading happens in `reader.rs`, acknowledging on librdkafka's
//! thread (`in_flight.rs`), the heartbeat in `membership.rs`. Nothing here waits for a message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{ClientConfig, Publisher, PublisherOptions};
use dionysus_postgres::incarnation;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::in_flight::InFlight;
use crate::lane::Lane;
use crate::locks::Locks;
use crate::membership::Membership;
use crate::message::Renderer;
use crate::observe::Observer;
use crate::reader::{Reader, Response};
use crate::topics::Opener;
use crate::{Error, LeaseClock, RelayOptions, RelaySignals};

mod book_keeping;
mod careful;
mod hand_over;
mod opening;
mod reading;
mod recovery;
mod release;
mod set_aside;

use careful::Careful;
use hand_over::Work;
use opening::Opened;
use release::{Ended, Release};

/// The loop turns this long before the deadline at the latest.
const BEFORE_DEADLINE: Duration = Duration::from_millis(5);

/// How a session ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// As told.
    Stopped,
    /// Other relays may own our lanes.
    LeaseLost,
}

/// What a pump is given.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) pool: PgPool,
    pub(crate) connect: PgConnectOptions,
    pub(crate) kafka: ClientConfig,
    pub(crate) options: Arc<RelayOptions>,
    pub(crate) clock: Arc<LeaseClock>,
    pub(crate) membership: watch::Receiver<Membership>,
    pub(crate) rows: Arc<Notify>,
    pub(crate) opener: Opener,
    pub(crate) signals: RelaySignals,
    pub(crate) observer: Arc<Observer>,
    pub(crate) locks: Arc<Locks>,
    /// Never but in the test of the crash test.
    pub(crate) keeps_cursors: bool,
}

/// The state of a session.
#[derive(Debug)]
pub(crate) struct Pump {
    session: Session,
    lanes: HashMap<String, Lane>,
    publisher: Arc<Publisher<InFlight>>,
    in_flight: Arc<InFlight>,
    /// The second client, where one is needed.
    careful: Option<Careful>,
    /// Rows on their way out of quarantine, and what is to be written down of the last.
    release: Option<Release>,
    ended: Ended,
    next_release: Instant,
    renderer: Renderer,
    reader: Option<Reader>,
    /// The token of the server's run under which `reader` and all cursors in memory are valid.
    token: Uuid,
    /// A chunk that is being handed over.
    work: Option<Work>,
    /// The chunk after it.
    ready: Option<Response>,
    /// The last request's number, or above it.
    last_request: u64,
    /// Goes up with each wake-up and poll: lanes read up to now once in each.
    round: u64,
    /// Payload bytes of a row, a moving average that sizes the next read.
    row_bytes: usize,
    next_poll: Instant,
    next_checkpoint: Instant,
    /// The last acknowledgement, or the first hand-over after a pause.
    last_progress: Instant,
    /// Failures of the Kafka client since the last acknowledgement.
    failures: u32,
    openings: JoinSet<Opened>,
    /// What the client puts into a batch at most: no more than any topic that it has written to accepts.
    batch_bytes: usize,
    stopping: bool,
    /// Something may still land in Kafka that was not acknowledged: the lease is left to run out.
    in_doubt: bool,
}

impl Pump {
    pub(crate) async fn start(session: Session) -> Result<Self, Error> {
        let token = incarnation::token(&session.pool).await?;
        let reader = Reader::start(&session.connect, &reader_name(&session)).await?;
        let batch_bytes = PublisherOptions::default().batch_bytes;
        let (publisher, in_flight) = client(&session, batch_bytes)?;
        let now = Instant::now();
        Ok(Self {
            lanes: HashMap::new(),
            publisher,
            in_flight,
            careful: None,
            release: None,
            ended: Ended::default(),
            next_release: now,
            renderer: Renderer::default(),
            reader: Some(reader),
            token,
            work: None,
            ready: None,
            last_request: 0,
            round: 1,
            // Until sizes are known reads are small: a first chunk of large rows must not be huge.
            row_bytes: 64 << 10,
            next_poll: now,
            next_checkpoint: now + session.options.checkpoint_interval,
            last_progress: now,
            failures: 0,
            openings: JoinSet::new(),
            batch_bytes,
            stopping: false,
            in_doubt: false,
            session,
        })
    }

    /// Runs until told to stop and everything is handed over, or until the lease is lost.
    pub(crate) async fn run(mut self, stop: &CancellationToken) -> Result<Ending, Error> {
        loop {
            let Some(lease) = self.session.clock.remaining() else {
                return Ok(self.lose_lease());
            };
            if matches!(*self.session.membership.borrow(), Membership::Lost) {
                return Ok(self.lose_lease());
            }
            // A Postgres that neither answers nor refuses must not keep us from purging in time.
            let deadline = Instant::now() + lease;
            match tokio::time::timeout_at(deadline, self.turn(deadline, stop)).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(ending))) => return Ok(ending),
                Ok(Err(error)) => return Err(error),
                Err(_elapsed) => return Ok(self.lose_lease()),
            }
        }
    }

    /// One turn of the loop. Dropped at the deadline, wherever it waits: the session ends then, and all memory of it.
    async fn turn(
        &mut self,
        deadline: Instant,
        stop: &CancellationToken,
    ) -> Result<Option<Ending>, Error> {
        if stop.is_cancelled() && !self.stopping {
            self.begin_stopping();
        }
        self.watch_deliveries()?;
        self.watch_careful();
        self.hand_over()?;
        self.release().await?;
        self.ask_for_more();
        if self.checkpoint_is_due() {
            self.checkpoint().await?;
        }
        self.release_drained().await?;
        if self.session.observer.turn() {
            self.settle_lanes();
            self.session.observer.show(&self.lanes, &self.in_flight, self.stopping);
        }
        if self.stopping && self.lanes.is_empty() {
            self.leave().await;
            return Ok(Some(Ending::Stopped));
        }
        // Before the deadline, so that a heartbeat's news is taken in and not cut off.
        self.wait(deadline - BEFORE_DEADLINE, stop).await?;
        Ok(None)
    }

    /// Whether enough of the lease is left to hand something over.
    fn may_hand_over(&self) -> bool {
        let needed = self.session.options.needed_lease();
        self.session.clock.remaining().is_some_and(|lease| lease >= needed)
    }

    /// Waits for whatever comes first, and takes it in. Every arm is cancel safe.
    async fn wait(&mut self, deadline: Instant, stop: &CancellationToken) -> Result<(), Error> {
        let wake_at = self.next_timer().min(deadline);
        tokio::select! {
            response = next_response(&mut self.reader) => self.take_response(response).await?,
            () = self.in_flight.progress.notified() => self.last_progress = Instant::now(),
            () = progress(self.careful.as_ref()) => if let Some(client) = &mut self.careful {
                client.last_progress = Instant::now();
            },
            () = self.session.rows.notified(), if !self.stopping => self.round += 1,
            changed = self.session.membership.changed() => if changed.is_ok() { self.look_around().await? },
            Some(opened) = self.openings.join_next() => self.take_opened(opened)?,
            () = tokio::time::sleep_until(wake_at) => self.tick()?,
            () = stop.cancelled(), if !self.stopping => {}
        }
        Ok(())
    }

    /// The next moment at which something is to be done without being told.
    fn next_timer(&self) -> Instant {
        let mut next = self.next_poll.min(self.next_checkpoint);
        let others = [
            self.unblocked_at(),
            self.stalled_at(),
            self.careful_stalled_at(),
            self.next_release_at(),
        ];
        for at in others.into_iter().flatten() {
            next = next.min(at);
        }
        next
    }

    fn tick(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.next_poll {
            self.next_poll = now + self.session.options.poll_interval;
            self.round += 1;
        }
        self.unblock(now)
    }
}

/// Pending while there is no reader, or nothing was asked of it.
async fn next_response(reader: &mut Option<Reader>) -> Option<Response> {
    match reader {
        Some(reader) => reader.response().await,
        None => std::future::pending().await,
    }
}

/// Pending while there is no careful client.
async fn progress(careful: Option<&Careful>) {
    match careful {
        Some(client) => client.in_flight.progress.notified().await,
        None => std::future::pending().await,
    }
}

fn reader_name(session: &Session) -> String {
    format!("outbox-relay:{}:reader", session.options.name)
}

/// A new Kafka client with deliveries of its own.
fn client(
    session: &Session,
    batch_bytes: usize,
) -> Result<(Arc<Publisher<InFlight>>, Arc<InFlight>), Error> {
    let in_flight = Arc::new(InFlight::default());
    let options = PublisherOptions {
        message_timeout: session.options.message_timeout(),
        queue_bytes: session.options.queue_bytes,
        batch_bytes,
        ..PublisherOptions::default()
    };
    let publisher = Publisher::new(&session.kafka, &options, Arc::clone(&in_flight))?;
    Ok((Arc::new(publisher), in_flight))
}
