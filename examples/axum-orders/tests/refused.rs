//! Requests that fail.

use axum::http::Method;
use serde_json::{Value, json};

use crate::service::Service;

#[tokio::test]
async fn a_refused_request_is_answered_with_its_reason_and_leaves_nothing() {
    let service = Service::start().await;
    let api = &service.api;
    let zoe = api.customer("Zoe").await;
    let (order, lines) = api.order(zoe, &["tea"]).await;
    let (canceled, canceled_lines) = api.order(zoe, &["milk"]).await;
    api.done(Method::POST, &format!("/orders/{canceled}/cancel"), Value::Null).await;

    let line = format!("/orders/{order}/lines/{}", lines[0]);
    let of_canceled = format!("/orders/{canceled}/lines/{}", canceled_lines[0]);
    let other = format!("/orders/{canceled}/lines/{}", lines[0]);
    let tea = |quantity: i64, unit_price: &str| {
        let line = json!({ "product": "tea", "quantity": quantity, "unit_price": unit_price });
        json!({ "customer_id": zoe, "lines": [{ "product": "milk", "quantity": 1, "unit_price": "1" }, line] })
    };
    let large = json!({ "customer_id": zoe, "lines": [{ "product": "x".repeat(1_000_000), "quantity": 1, "unit_price": "1" }] });
    let (positive, too_large) = ("order_lines_quantity_is_positive", "too large to be published");
    let gone = "there is no such line in an open order";
    let cases = [
        (
            Method::POST,
            "/orders",
            json!({ "customer_id": zoe, "lines": [] }),
            422,
            "an order has lines",
        ),
        (
            Method::POST,
            "/orders",
            json!({ "customer_id": 99, "lines": tea(1, "1")["lines"] }),
            422,
            "there is no such customer",
        ),
        (Method::POST, "/orders", tea(0, "1"), 422, positive),
        (Method::POST, "/orders", tea(1, "-1"), 422, "order_lines_unit_price_is_not_negative"),
        (Method::POST, "/orders", tea(1, "99999999999"), 422, "out of range"),
        (Method::POST, "/orders", large, 422, too_large),
        (Method::PATCH, &line, json!({ "quantity": -1 }), 422, positive),
        (Method::PATCH, &of_canceled, json!({ "quantity": 2 }), 404, gone),
        (Method::DELETE, &other, Value::Null, 404, gone),
        (
            Method::POST,
            &format!("{line}/move"),
            json!({ "order_id": canceled }),
            422,
            "there is no such order, or it is canceled",
        ),
        (Method::POST, "/orders/99/cancel", Value::Null, 404, "there is no such order"),
        (
            Method::POST,
            &format!("/orders/{canceled}/cancel"),
            Value::Null,
            409,
            "the order is canceled already",
        ),
        (Method::GET, "/orders/99", Value::Null, 404, "there is no such order"),
        (Method::PATCH, "/customers/99", json!({ "name": "x" }), 404, "there is no such customer"),
        (
            Method::PATCH,
            &format!("/customers/{zoe}"),
            json!({ "name": "" }),
            422,
            "customers_name_is_given",
        ),
        (
            Method::PATCH,
            &format!("/customers/{zoe}"),
            json!({ "name": "a\0b" }),
            422,
            "out of range",
        ),
    ];
    for (method, path, body, status, reason) in cases {
        let (found, answer) = api.call(method.clone(), path, body).await;
        assert_eq!(
            (found.as_u16(), &answer),
            (status, &json!({ "error": reason })),
            "{method} {path}"
        );
    }
    // axum's own refusal.
    let (status, _) = api.call(Method::PATCH, &line, json!({ "quantity": "three" })).await;
    assert_eq!(status, 422);

    let rows: (i64, i64) =
        sqlx::query_as("select count(*), (select count(*) from order_lines) from orders")
            .fetch_one(&service.database.pool)
            .await
            .unwrap();
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
