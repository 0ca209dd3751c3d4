//! Which lanes are read next, and up to where.
//!
//! Lanes whose cursors agree are read by one statement. Lanes that differ are brought together: one that is behind reads up to the
//! snapshot of one that is ahead, and from then on they agree.

use dionysus_core::{Cursor, Snapshot};
use dionysus_postgres::Error as PostgresError;
use dionysus_postgres::window::{Limit, Window};

use super::{Pump, Work};
use crate::Error;
use crate::error::Chain;
use crate::reader::{Request, Response, Span};

/// What is to be read next.
struct Next {
    span: Span,
    /// The round in which the snapshot at its end is taken.
    round: u64,
    topics: Vec<String>,
}

impl Pump {
    /// Asks the reader for the next chunk if there is room for it and a lane that wants one.
    pub(super) fn ask_for_more(&mut self) {
        if self.ready.is_some() || self.stopping {
            return;
        }
        if self.reader.as_ref().is_none_or(|reader| reader.busy) {
            return;
        }
        let Some(Next { span, round, topics }) = self.next_span() else {
            return;
        };
        self.last_request += 1;
        let id = self.last_request;
        for topic in &topics {
            if let Some(lane) = self.lanes.get_mut(topic) {
                lane.reading = true;
                lane.round = round;
                lane.last_request = id;
            }
        }
        let limit = self.chunk_limit();
        if let Some(reader) = &mut self.reader {
            reader.request(Request { id, span, topics, limit });
        }
    }

    /// The lane that waited longest, whoever agrees with it, and what they read.
    fn next_span(&self) -> Option<Next> {
        let wanting = || self.lanes.values().filter(|lane| lane.wants(self.round));
        let first = wanting().min_by_key(|lane| (lane.last_request, &lane.topic))?;
        let agreeing = wanting().filter(|lane| lane.read == first.read);
        let topics = agreeing.map(|lane| lane.topic.clone()).collect();
        let (span, round) = match &first.read {
            Cursor::Inside { from, to, seq } => {
                (Span::Chunk(from.clone(), to.clone(), *seq), first.round)
            }
            Cursor::At(from) => match self.meeting_point(from) {
                Some((to, round)) => (Span::Upto(from.clone(), to.clone()), round),
                None => (Span::Fresh(from.clone()), self.round),
            },
        };
        Some(Next { span, round, topics })
    }

    /// The latest snapshot at which another lane stands, or will stand, ahead of `from`, and the round in which that was taken.
    fn meeting_point(&self, from: &Snapshot) -> Option<(&Snapshot, u64)> {
        self.lanes
            .values()
            .map(|lane| match &lane.read {
                Cursor::At(snapshot) | Cursor::Inside { to: snapshot, .. } => {
                    (snapshot, lane.round)
                }
            })
            .filter(|(ahead, _)| *ahead != from && ahead.covers(from))
            .reduce(|a, b| if b.0.covers(a.0) { b } else { a })
    }

    /// As many rows as fit the byte budget, by the sizes seen.
    fn chunk_limit(&self) -> Limit {
        let options = &self.session.options;
        let fitting =
            u32::try_from(options.chunk_bytes / self.row_bytes.max(1)).unwrap_or(u32::MAX);
        Limit {
            rows: fitting.clamp(16.min(options.chunk_rows), options.chunk_rows),
            bytes: options.chunk_bytes,
        }
    }

    /// Takes in what the reader returned.
    pub(super) async fn take_response(&mut self, response: Option<Response>) -> Result<(), Error> {
        let Some(response) = response else {
            return self.forget("the reader has ended").await;
        };
        match &response.window {
            Err(error) if error.is_disconnected() => {
                tracing::warn!(error = %Chain(&error), "connection to Postgres lost");
                return self.forget("connection lost").await;
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), topics = ?response.request.topics, "window not read");
                self.block_lanes(&response.request.topics, error);
                return Ok(());
            }
            Ok(window) if !self.is_valid(window) => {
                return self.forget("Postgres has crashed").await;
            }
            Ok(_) => {}
        }
        self.ready = Some(response);
        self.take_ready();
        Ok(())
    }

    /// The token must be the one under which our cursors were made. A chunk without rows has none: its lanes then stand at `C`, which the next
    /// read and the next checkpoint check again.
    fn is_valid(&self, window: &Window) -> bool {
        window.token == Some(self.token)
            || (window.token.is_none() && window.rows.is_empty() && !window.to_is_new)
    }

    /// Starts on the waiting chunk if nothing else is being handed over: advances the lanes' `read` and makes work of the rows.
    pub(super) fn take_ready(&mut self) {
        if self.work.is_some() {
            return;
        }
        let Some(Response { request, window: Ok(window) }) = self.ready.take() else {
            return;
        };
        if let Some(bytes) = window.average_payload() {
            self.row_bytes = (self.row_bytes * 3 + bytes) / 4;
        }
        let (from, inside) = match &request.span {
            Span::Fresh(from) | Span::Upto(from, _) => (from.clone(), false),
            Span::Chunk(from, _, _) => (from.clone(), true),
        };
        if ahead_of_server(&from, &window) {
            self.refuse_ahead(&request.topics);
            return;
        }
        // A window that is too large comes without rows and is read in chunks; a chunk that is not full is the last.
        let too_large = !inside && window.more;
        let read = advanced(&from, &window, too_large);
        for topic in &request.topics {
            if let Some(lane) = self.lanes.get_mut(topic)
                && request.id >= lane.valid_from
            {
                lane.reading = false;
                lane.read = read.clone();
            }
        }
        if !too_large {
            self.work = Some(Work::new(request, from, window));
        }
    }

    fn refuse_ahead(&mut self, topics: &[String]) {
        for topic in topics {
            let error = PostgresError::CursorAhead { topic: topic.clone() };
            tracing::error!(error = %Chain(&error), remedy = error.remedy(), "lane stopped");
            self.block_lanes(std::slice::from_ref(topic), &error);
        }
    }
}

/// Where the lanes of a request have read to.
fn advanced(from: &Snapshot, window: &Window, too_large: bool) -> Cursor {
    let inside = |seq| Cursor::Inside { from: from.clone(), to: window.to.clone(), seq };
    match window.rows.last() {
        _ if too_large => inside(Cursor::WINDOW_START),
        Some(row) if window.more => inside(row.seq()),
        _ => Cursor::At(window.to.clone()),
    }
}

/// Ids only grow: a snapshot of now that knows fewer than the cursor is from a server that was set back.
fn ahead_of_server(from: &Snapshot, window: &Window) -> bool {
    window.to_is_new && window.to.xmax() < from.xmax()
}
