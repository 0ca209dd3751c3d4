//! The handlers. Each is one transaction, states what it changed, and knows nothing of topics and aggregates.

mod customers;
mod lines;
mod orders;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, patch, post};

use crate::retry::once_more;
use crate::state::AppState;

pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/customers", post(customers::create))
        .route("/customers/{id}", patch(customers::rename))
        .route("/orders", post(orders::create))
        .route("/orders/{id}", get(orders::show))
        .route("/orders/{id}/cancel", post(orders::cancel))
        .route("/orders/{id}/lines/{line}", patch(lines::change).delete(lines::remove))
        .route("/orders/{id}/lines/{line}/move", post(lines::relocate))
        .layer(from_fn(once_more))
        .with_state(state)
}
