//! Orders as a whole.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::begin::Begin;
use crate::error::Error;
use crate::models::{Order, OrderLine};
use crate::state::AppState;

/// Shared with other new orders, not with a rename: either it finds this order, or this order finds the new name.
const LOCK_CUSTOMER: &str = "select id from customers where id = $1 for share";
const INSERT: &str = "insert into orders (customer_id) values ($1) returning id";
const INSERT_LINES: &str = "insert into order_lines (order_id, product, quantity, unit_price)
    select $1, * from unnest($2::text[], $3::integer[], $4::numeric[]) returning *";
const CANCEL: &str = "update orders set canceled_at = now() where id = $1 and canceled_at is null";
const ORDER: &str = "select * from order_snapshots where id = $1";
const LINES: &str = "select * from order_lines where order_id = $1 order by id";

#[derive(Debug, Deserialize)]
pub(super) struct NewOrder {
    customer_id: i64,
    lines: Vec<NewLine>,
}

#[derive(Debug, Deserialize)]
struct NewLine {
    product: String,
    quantity: i32,
    unit_price: Decimal,
}

/// An order as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    order: Order,
    lines: Vec<OrderLine>,
}

pub(super) async fn create(
    request: Begin,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, Json<Whole>), Error> {
    if new.lines.is_empty() {
        return Err(Error::Invalid("an order has lines"));
    }
    let mut tx = request.begin().await?;
    let customer = sqlx::query_scalar(LOCK_CUSTOMER).bind(new.customer_id);
    let customer: Option<i64> = customer.fetch_optional(&mut *tx).await?;
    let customer = customer.ok_or(Error::Invalid("there is no such customer"))?;
    let id: i64 = sqlx::query_scalar(INSERT).bind(customer).fetch_one(&mut *tx).await?;
    tx.created_by_id::<Order>(id)?;
    let lines: Vec<OrderLine> = sqlx::query_as(INSERT_LINES)
        .bind(id)
        .bind(new.lines.iter().map(|line| line.product.as_str()).collect::<Vec<_>>())
        .bind(new.lines.iter().map(|line| line.quantity).collect::<Vec<_>>())
        .bind(new.lines.iter().map(|line| line.unit_price).collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await?;
    tx.created_all(&lines)?;
    let whole = read(&mut tx, id).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(whole)))
}

pub(super) async fn show(
    State(AppState { outbox }): State<AppState>,
    Path(id): Path<i64>,
) -> Result<Json<Whole>, Error> {
    // Order and lines of one moment.
    let begin = "begin isolation level repeatable read, read only";
    let mut tx = outbox.pool().begin_with(begin).await?;
    Ok(Json(read(&mut tx, id).await?))
}

/// A soft delete: published as destroyed, with the whole snapshot.
pub(super) async fn cancel(request: Begin, Path(id): Path<i64>) -> Result<Json<Whole>, Error> {
    let mut tx = request.begin().await?;
    let canceled = sqlx::query(CANCEL).bind(id).execute(&mut *tx).await?;
    let whole = read(&mut tx, id).await?;
    if canceled.rows_affected() == 0 {
        return Err(Error::Conflict("the order is canceled already"));
    }
    tx.destroyed(&whole.order)?;
    tx.commit().await?;
    Ok(Json(whole))
}

async fn read(conn: &mut PgConnection, id: i64) -> Result<Whole, Error> {
    let order = sqlx::query_as(ORDER).bind(id).fetch_optional(&mut *conn).await?;
    let order = order.ok_or(Error::NotFound("order"))?;
    Ok(Whole { order, lines: sqlx::query_as(LINES).bind(id).fetch_all(conn).await? })
}
