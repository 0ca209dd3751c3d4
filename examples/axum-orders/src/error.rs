//! Why a request fails, and how that is answered.

use std::error::Error as StdError;
use std::iter::successors;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dionysus::producer;
use sqlx::error::DatabaseError;

use crate::retry::GaveWay;

/// A request that changed nothing: its transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("{0}")]
    Invalid(&'static str),
    #[error("a statement failed")]
    Database(#[from] sqlx::Error),
    #[error("the change could not be published")]
    Outbox(#[from] producer::Error),
}

impl Error {
    /// What Postgres says may quote input: of that, only the name of a constraint is told.
    fn answer(&self) -> (StatusCode, String) {
        let by_database = self.causes().find_map(|error| error.downcast_ref::<sqlx::Error>());
        let refusal = by_database.and_then(sqlx::Error::as_database_error);
        let code = refusal.and_then(DatabaseError::code).unwrap_or_default();
        let (status, text) = match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, self.to_string()),
            Self::Conflict(_) => (StatusCode::CONFLICT, self.to_string()),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, self.to_string()),
            _ if matches!(&*code, "40001" | "40P01") => {
                (StatusCode::CONFLICT, "another request was in the way, try again".into())
            }
            Self::Outbox(producer::Error::TooLarge { .. }) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "too large to be published".into())
            }
            // Data exceptions, and constraints of the service's own tables.
            Self::Database(_) if code.starts_with("22") || code.starts_with("23") => {
                let constraint = refusal.and_then(DatabaseError::constraint);
                (StatusCode::UNPROCESSABLE_ENTITY, constraint.unwrap_or("out of range").into())
            }
            _ if matches!(by_database, Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "try again later".into())
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal error".into()),
        };
        (status, text)
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        successors(Some(self as &(dyn StdError + 'static)), |&error| error.source())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, text) = self.answer();
        if status.is_server_error() {
            let error = self.causes().map(ToString::to_string).collect::<Vec<_>>().join(": ");
            tracing::error!(%status, error, "request failed");
        }
        let mut response = (status, Json(serde_json::json!({ "error": text }))).into_response();
        if status == StatusCode::CONFLICT && !matches!(self, Self::Conflict(_)) {
            response.extensions_mut().insert(GaveWay);
        }
        response
    }
}
