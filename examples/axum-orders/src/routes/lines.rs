//! Lines of orders that are not canceled. Each change publishes the order, or both orders, with all lines.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Deserialize;
use sqlx::PgConnection;

use crate::begin::Begin;
use crate::error::Error;
use crate::models::OrderLine;

/// The line alone: its order is locked when the transaction commits.
const LOCK: &str = "select l.* from order_lines l join orders o on o.id = l.order_id
    where l.id = $2 and l.order_id = $1 and o.canceled_at is null for no key update of l";
const UPDATE: &str = "update order_lines set quantity = $2 where id = $1 returning *";
const MOVE: &str = "update order_lines set order_id = $2
    where id = $1 and exists (select from orders where id = $2 and canceled_at is null) returning *";
const DELETE: &str = "delete from order_lines where id = $1";

#[derive(Debug, Deserialize)]
pub(super) struct Amount {
    quantity: i32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    order_id: i64,
}

pub(super) async fn change(
    request: Begin,
    Path((order, line)): Path<(i64, i64)>,
    Json(Amount { quantity }): Json<Amount>,
) -> Result<Json<OrderLine>, Error> {
    let mut tx = request.begin().await?;
    let before = lock(&mut tx, order, line).await?;
    let after = sqlx::query_as(UPDATE).bind(line).bind(quantity).fetch_one(&mut *tx).await?;
    tx.changed(Some(&before), Some(&after))?;
    tx.commit().await?;
    Ok(Json(after))
}

pub(super) async fn relocate(
    request: Begin,
    Path((order, line)): Path<(i64, i64)>,
    Json(Target { order_id }): Json<Target>,
) -> Result<Json<OrderLine>, Error> {
    let mut tx = request.begin().await?;
    let before = lock(&mut tx, order, line).await?;
    let after = sqlx::query_as(MOVE).bind(line).bind(order_id).fetch_optional(&mut *tx).await?;
    let after = after.ok_or(Error::Invalid("there is no such order, or it is canceled"))?;
    tx.changed(Some(&before), Some(&after))?;
    tx.commit().await?;
    Ok(Json(after))
}

pub(super) async fn remove(
    request: Begin,
    Path((order, line)): Path<(i64, i64)>,
) -> Result<StatusCode, Error> {
    let mut tx = request.begin().await?;
    let before = lock(&mut tx, order, line).await?;
    sqlx::query(DELETE).bind(line).execute(&mut *tx).await?;
    tx.destroyed(&before)?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn lock(conn: &mut PgConnection, order: i64, line: i64) -> Result<OrderLine, Error> {
    let found = sqlx::query_as(LOCK).bind(order).bind(line).fetch_optional(conn).await?;
    found.ok_or(Error::NotFound("line in an open order"))
}
