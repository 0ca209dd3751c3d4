//! The domain. The fields of these structs are what consumers see.

use chrono::{DateTime, Utc};
use dionysus::{Part, Publishable};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::FromRow;

#[derive(Debug, FromRow, Publishable, Serialize)]
#[publishable(table = "customers")]
pub(crate) struct Customer {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// The root of the aggregate. All orders of a customer are in one partition.
#[derive(Debug, FromRow, Publishable, Serialize)]
#[publishable(
    table = "orders",
    select = "select * from order_snapshots",
    partition_key = "customer_id",
    soft_delete = "canceled_at"
)]
pub(crate) struct Order {
    pub(crate) id: i64,
    #[publishable(link = "customer")]
    pub(crate) customer_id: i64,
    pub(crate) customer_name: String,
    pub(crate) total: Decimal,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) canceled_at: Option<DateTime<Utc>>,
    /// Read by the outbox when the transaction commits, under the order's lock.
    #[sqlx(skip)]
    #[serde(skip)]
    #[publishable(part)]
    pub(crate) lines: Part<Vec<OrderLine>>,
}

#[derive(Debug, FromRow, Publishable, Serialize)]
#[publishable(table = "order_lines")]
pub(crate) struct OrderLine {
    pub(crate) id: i64,
    #[publishable(link = "order")]
    pub(crate) order_id: i64,
    pub(crate) product: String,
    pub(crate) quantity: i32,
    pub(crate) unit_price: Decimal,
}
