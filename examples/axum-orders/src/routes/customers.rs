//! Customers, whose name is part of what their orders publish.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::begin::Begin;
use crate::error::Error;
use crate::models::Customer;

const INSERT: &str = "insert into customers (name) values ($1) returning *";
const LOCK: &str = "select * from customers where id = $1 for no key update";
const RENAME: &str = "update customers set name = $2 where id = $1 returning *";

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    name: String,
}

pub(super) async fn create(
    request: Begin,
    Json(Named { name }): Json<Named>,
) -> Result<(StatusCode, Json<Customer>), Error> {
    let mut tx = request.begin().await?;
    let customer: Customer = sqlx::query_as(INSERT).bind(name).fetch_one(&mut *tx).await?;
    tx.created(&customer)?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(customer)))
}

/// Publishes the customer and, as the topology says, all orders of theirs.
pub(super) async fn rename(
    request: Begin,
    Path(id): Path<i64>,
    Json(Named { name }): Json<Named>,
) -> Result<Json<Customer>, Error> {
    let mut tx = request.begin().await?;
    let before: Option<Customer> = sqlx::query_as(LOCK).bind(id).fetch_optional(&mut *tx).await?;
    let before = before.ok_or(Error::NotFound("customer"))?;
    let after = sqlx::query_as(RENAME).bind(id).bind(name).fetch_one(&mut *tx).await?;
    tx.changed(Some(&before), Some(&after))?;
    tx.commit().await?;
    Ok(Json(after))
}
