//! The task that reads windows, so that reading the next chunk overlaps handing over the last.
//!
//! Bounds: one request at a time, one result waiting. With the chunk that is being handed over, three chunks are in memory at most.

use std::collections::HashMap;

use dionysus_core::Snapshot;
use dionysus_postgres::Error;
use dionysus_postgres::window::{Limit, Window, WindowReader};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What to read.
#[derive(Clone, Debug)]
pub(crate) enum Span {
    /// From the snapshot up to now.
    Fresh(Snapshot),
    /// From the first up to the second.
    Upto(Snapshot, Snapshot),
    /// One chunk of the window between the two, after a number.
    Chunk(Snapshot, Snapshot, i64),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) span: Span,
    pub(crate) topics: Vec<String>,
    pub(crate) limit: Limit,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) request: Request,
    pub(crate) window: Result<Window, Error>,
}

/// The running task. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Reader {
    requests: mpsc::Sender<Request>,
    responses: mpsc::Receiver<Response>,
    /// Requests without a response yet.
    pub(crate) busy: bool,
    task: JoinHandle<()>,
}

impl Reader {
    pub(crate) async fn start(options: &PgConnectOptions, name: &str) -> Result<Self, Error> {
        let reader = WindowReader::connect(options, name).await?;
        // One each: the pump asks for the next chunk only when it holds no other.
        let (requests, inbox) = mpsc::channel(1);
        let (outbox, responses) = mpsc::channel(1);
        let task = tokio::spawn(serve(reader, inbox, outbox));
        Ok(Self { requests, responses, busy: false, task })
    }

    /// Asks; must not be busy.
    pub(crate) fn request(&mut self, request: Request) {
        self.busy = self.requests.try_send(request).is_ok();
    }

    /// The next response; `None` if the task is gone. Cancel safe. Pending for ever while nothing was asked.
    pub(crate) async fn response(&mut self) -> Option<Response> {
        if !self.busy {
            std::future::pending::<()>().await;
        }
        let response = self.responses.recv().await;
        self.busy = false;
        response
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut reader: WindowReader,
    mut inbox: mpsc::Receiver<Request>,
    outbox: mpsc::Sender<Response>,
) {
    let mut starts = HashMap::new();
    while let Some(request) = inbox.recv().await {
        let window = read(&mut reader, &request, &mut starts).await;
        if outbox.send(Response { request, window }).await.is_err() {
            break;
        }
    }
    reader.close().await;
}

/// How many windows' first numbers are kept: one a group of lanes that is behind; more than this are looked up again.
const STARTS_MAX: usize = 64;

async fn read(
    reader: &mut WindowReader,
    request: &Request,
    starts: &mut HashMap<(Snapshot, Snapshot), i64>,
) -> Result<Window, Error> {
    let Request { span, topics, limit, .. } = request;
    match span {
        Span::Fresh(from) => reader.fresh(from, topics, *limit).await,
        Span::Upto(from, to) => reader.upto(from, to, topics, *limit).await,
        Span::Chunk(from, to, after) => {
            let key = (from.clone(), to.clone());
            let start = match starts.get(&key) {
                Some(start) => *start,
                None => reader.first_seq(from, to).await?,
            };
            let window = reader.chunk(from, to, *after, start, topics, *limit).await?;
            if window.more {
                if starts.len() >= STARTS_MAX {
                    starts.clear();
                }
                starts.insert(key, start);
            } else {
                starts.remove(&key);
            }
            Ok(window)
        }
    }
}
