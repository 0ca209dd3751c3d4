//! Runs that re-stream what exists. An application's transaction may request one; executing them is the lane owner's.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;

/// A run to request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The primary topic.
    pub topic: &'a str,
    /// The model.
    pub model: &'a str,
    /// Who asks: `operator`, or the observed model that changed.
    pub requested_by: &'a str,
    /// Which instances; `None` for all.
    pub selection: Option<&'a serde_json::Value>,
}

/// Requests a run inside the caller's transaction: it will be executed if that commits.
///
/// # Errors
/// [`Error::Statement`].
pub async fn request(conn: &mut PgConnection, request: &Request<'_>) -> Result<Uuid, Error> {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into dionysus.genesis_runs (id, topic, model, requested_by, selection) values ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(request.topic)
    .bind(request.model)
    .bind(request.requested_by)
    .bind(request.selection)
    .execute(conn)
    .await
    .map_err(Error::at("requesting a genesis run"))?;
    Ok(id)
}
