//! The transaction of a request, in the trace of the request.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use dionysus::producer::TraceContext;
use dionysus::{Outbox, OutboxTransaction};

use crate::error::Error;
use crate::state::AppState;

/// Extracted by handlers that change something. It takes no connection before they ask for it.
#[derive(Debug)]
pub(crate) struct Begin {
    outbox: Outbox,
    trace: Option<TraceContext>,
}

impl Begin {
    /// Changes in it and their events are committed together, or not at all.
    pub(crate) async fn begin(self) -> Result<OutboxTransaction<'static>, Error> {
        let mut tx = self.outbox.begin().await?;
        tx.set_trace_context(self.trace);
        Ok(tx)
    }
}

impl FromRequestParts<AppState> for Begin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, Self::Rejection> {
        let State(AppState { outbox }) = State::from_request_parts(parts, state).await?;
        let header = |name| parts.headers.get(name)?.to_str().ok();
        // A malformed header is no reason to refuse a request.
        let trace = header("traceparent")
            .and_then(|parent| TraceContext::new(parent, header("tracestate")).ok());
        Ok(Self { outbox, trace })
    }
}
