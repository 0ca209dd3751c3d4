//! Requests that fail.

use axum::http::Method;
use serde_json::{Value, json};

use crate::service::Service;

const NO_LINE: &str = "there is no such line in an open order";
const NO_ORDER: &str = "there is no such order";
const POSITIVE: &str = "order_lines_quantity_is_positive";

/// A request, the status of its answer, and the reason in it.
type Case = (Method, String, Value, u16, &'static str);

/// Orders that can't be.
fn new_orders(customer: i64) -> Vec<Case> {
    let case = |customer: i64, lines: Value, reason| {
        let new = json!({ "customer_id": customer, "lines": lines });
        (Method::POST, "/orders".to_owned(), new, 422, reason)
    };
    // The first line is as it should be.
    let two = |product: &str, quantity: i64, unit_price: &str| {
        json!([
            { "product": "milk", "quantity": 1, "unit_price": "1" },
            { "product": product, "quantity": quantity, "unit_price": unit_price },
        ])
    };
    vec![
        case(customer, json!([]), "an order has lines"),
        case(99, two("tea", 1, "1"), "there is no such customer"),
        case(customer, two("tea", 0, "1"), POSITIVE),
        case(customer, two("tea", 1, "-1"), "order_lines_unit_price_is_not_negative"),
        case(customer, two("tea", 1, "99999999999"), "out of range"),
        case(customer, two(&"x".repeat(1_000_000), 1, "1"), "too large to be published"),
    ]
}

/// Changes that can't be of an order that is open, and its line, and of one that is canceled.
fn changes(customer: i64, open: (i64, i64), canceled: (i64, i64)) -> Vec<Case> {
    let line = |order: i64, line: i64| format!("/orders/{order}/lines/{line}");
    let quantity = |quantity: i64| json!({ "quantity": quantity });
    let name = |name: &str| json!({ "name": name });
    let path = line(open.0, open.1);
    let cancel = format!("/orders/{}/cancel", canceled.0);
    let to_canceled = json!({ "order_id": canceled.0 });
    let no_target = "there is no such order, or it is canceled";
    let renamed = format!("/customers/{customer}");
    vec![
        (Method::PATCH, path.clone(), quantity(-1), 422, POSITIVE),
        (Method::PATCH, line(canceled.0, canceled.1), quantity(2), 404, NO_LINE),
        (Method::DELETE, line(canceled.0, open.1), Value::Null, 404, NO_LINE),
        (Method::POST, format!("{path}/move"), to_canceled, 422, no_target),
        (Method::POST, "/orders/99/cancel".to_owned(), Value::Null, 404, NO_ORDER),
        (Method::POST, cancel, Value::Null, 409, "the order is canceled already"),
        (Method::GET, "/orders/99".to_owned(), Value::Null, 404, NO_ORDER),
        (Method::PATCH, "/customers/99".to_owned(), name("x"), 404, "there is no such customer"),
        (Method::PATCH, renamed.clone(), name(""), 422, "customers_name_is_given"),
        (Method::PATCH, renamed, name("a\0b"), 422, "out of range"),
    ]
}

#[tokio::test]
async fn a_refused_request_is_answered_with_its_reason_and_leaves_nothing() {
    let service = Service::start().await;
    let api = &service.api;
    let zoe = api.customer("Zoe").await;
    let (open, open_lines) = api.order(zoe, &["tea"]).await;
    let (canceled, canceled_lines) = api.order(zoe, &["milk"]).await;
    api.done(Method::POST, &format!("/orders/{canceled}/cancel"), Value::Null).await;

    let changes = changes(zoe, (open, open_lines[0]), (canceled, canceled_lines[0]));
    for (method, path, body, status, reason) in new_orders(zoe).into_iter().chain(changes) {
        let (found, answer) = api.call(method.clone(), &path, body).await;
        let expected = (status, json!({ "error": reason }));
        assert_eq!((found.as_u16(), answer), expected, "{method} {path}");
    }
    // axum's own refusal.
    let path = format!("/orders/{open}/lines/{}", open_lines[0]);
    let (status, _) = api.call(Method::PATCH, &path, json!({ "quantity": "three" })).await;
    assert_eq!(status, 422);

    let sql = "select count(*), (select count(*) from order_lines) from orders";
    let rows: (i64, i64) = sqlx::query_as(sql).fetch_one(&service.database.pool).await.unwrap();
    assert_eq!(rows, (2, 2));
    let messages = service.messages().await;
    let events: Vec<_> = messages.iter().map(|m| (m.key.as_str(), m.event.as_str())).collect();
    assert_eq!(
        events,
        [
            ("Order:1", "order_created"),
            ("Order:2", "order_created"),
            ("Order:2", "order_destroyed")
        ]
    );
}
