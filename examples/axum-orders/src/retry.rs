//! Once more, where Postgres asks for it.
//!
//! A handler is one transaction. When Postgres rolls it back to resolve a deadlock or a serialization failure, nothing of it is left, neither changes nor
//! events, so the request as a whole can be repeated.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Bodies are kept for the second try; the largest order is smaller than this.
const BODY_BYTES_MAX: usize = 1 << 20;

/// By then the other transaction, which was let through, has what both wanted.
const PAUSE: Duration = Duration::from_millis(20);

/// Marks the response of a transaction that gave way to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GaveWay;

/// Repeats a request whose transaction gave way, once.
pub(crate) async fn once_more(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let again = || Request::from_parts(parts.clone(), Body::from(body.clone()));
    let response = next.clone().run(again()).await;
    if response.extensions().get::<GaveWay>().is_none() {
        return response;
    }
    tracing::info!("transaction gave way to another, repeating the request");
    tokio::time::sleep(PAUSE).await;
    next.run(again()).await
}
