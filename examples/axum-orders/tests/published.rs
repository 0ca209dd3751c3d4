//! What each request publishes.

use axum::http::Method;
use serde_json::{Value, json};

use crate::service::{Brief, Message, Service, brief};

fn briefs(messages: &[Message]) -> Vec<Brief<'_>> {
    messages.iter().map(Message::brief).collect()
}

#[tokio::test]
async fn an_order_is_one_message_with_all_lines_in_the_trace_of_its_request() {
    let service = Service::start().await;
    let zoe = service.api.customer("Zoe").await;
    let new = json!({ "customer_id": zoe, "lines": [
        { "product": "tea", "quantity": 2, "unit_price": "4.50" },
        { "product": "sugar", "quantity": 1, "unit_price": 0.99 },
    ]});
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (status, _) =
        service.api.traced(Method::POST, "/orders", new.clone(), Some(traceparent)).await;
    assert_eq!(status, 201);
    let (status, _) = service.api.traced(Method::POST, "/orders", new, Some("malformed")).await;
    assert_eq!(status, 201);

    let messages = service.messages().await;
    let [message, untraced] = &messages[..] else { panic!("{messages:#?}") };
    assert_eq!((message.key.as_str(), message.event.as_str()), ("Order:1", "order_created"));
    assert_eq!(message.traceparent.as_deref(), Some(traceparent));
    assert_eq!(untraced.traceparent, None);
    assert_eq!(untraced.partition, message.partition, "orders of a customer share a partition");
    let mut order = message.order.clone();
    let created_at = order.as_object_mut().unwrap().remove("created_at").unwrap();
    assert!(created_at.as_str().unwrap().ends_with('Z'), "{created_at}");
    assert_eq!(
        order,
        json!({
            "id": 1, "customer_name": "Zoe", "total": "9.99", "canceled_at": null,
            "links": { "customer": 1, "order_lines": [1, 2] },
            "order_lines": [
                { "id": 1, "product": "tea", "quantity": 2, "unit_price": "4.5", "links": { "order": 1 } },
                { "id": 2, "product": "sugar", "quantity": 1, "unit_price": "0.99", "links": { "order": 1 } },
            ],
        })
    );
}

#[tokio::test]
async fn a_changed_or_deleted_line_publishes_its_order_whole_and_no_change_publishes_nothing() {
    let service = Service::start().await;
    let api = &service.api;
    let zoe = api.customer("Zoe").await;
    let (order, lines) = api.order(zoe, &["tea", "sugar"]).await;
    api.quantity(order, lines[0], 3).await;
    api.quantity(order, lines[0], 3).await;
    let path = format!("/orders/{order}/lines/{}", lines[1]);
    api.done(Method::DELETE, &path, Value::Null).await;
    let messages = service.messages().await;
    assert_eq!(
        briefs(&messages),
        [
            brief("Order:1", "order_created", &[("tea", 1), ("sugar", 1)]),
            brief("Order:1", "order_updated", &[("tea", 3), ("sugar", 1)]),
            brief("Order:1", "order_updated", &[("tea", 3)]),
        ]
    );
    assert_eq!(messages[2].order["total"], "4.5");
}

#[tokio::test]
async fn a_moved_line_publishes_both_orders() {
    let service = Service::start().await;
    let api = &service.api;
    let (zoe, ann) = (api.customer("Zoe").await, api.customer("Ann").await);
    let (from, lines) = api.order(zoe, &["tea", "sugar"]).await;
    let (to, _) = api.order(ann, &["milk"]).await;
    let path = format!("/orders/{from}/lines/{}/move", lines[1]);
    api.done(Method::POST, &path, json!({ "order_id": to })).await;
    let messages = service.messages().await;
    assert_eq!(
        briefs(&messages[2..]),
        [
            brief("Order:1", "order_updated", &[("tea", 1)]),
            brief("Order:2", "order_updated", &[("sugar", 1), ("milk", 1)]),
        ]
    );
}

#[tokio::test]
async fn a_renamed_customers_orders_are_published_with_the_new_name_and_nobody_elses() {
    let service = Service::start().await;
    let api = &service.api;
    let (zoe, ann) = (api.customer("Zoe").await, api.customer("Ann").await);
    for customer in [zoe, ann, zoe] {
        api.order(customer, &["tea"]).await;
    }
    api.rename(zoe, "Zoe Ltd").await;
    api.rename(zoe, "Zoe Ltd").await;
    let messages = service.messages().await;
    let names: Vec<_> = messages
        .iter()
        .map(|message| (message.key.as_str(), message.order["customer_name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            ("Order:1", "Zoe"),
            ("Order:2", "Ann"),
            ("Order:3", "Zoe"),
            ("Order:1", "Zoe Ltd"),
            ("Order:3", "Zoe Ltd"),
        ]
    );
    assert_eq!(brief("Order:3", "order_updated", &[("tea", 1)]), messages[4].brief());
}

#[tokio::test]
async fn a_canceled_order_is_destroyed_with_its_whole_snapshot() {
    let service = Service::start().await;
    let api = &service.api;
    let zoe = api.customer("Zoe").await;
    let (order, _) = api.order(zoe, &["tea"]).await;
    let cancel = format!("/orders/{order}/cancel");
    let canceled = api.done(Method::POST, &cancel, Value::Null).await;
    assert!(canceled["canceled_at"].is_string(), "{canceled}");
    let (status, _) = api.call(Method::POST, &cancel, Value::Null).await;
    assert_eq!(status, 409);
    let messages = service.messages().await;
    assert_eq!(
        briefs(&messages),
        [
            brief("Order:1", "order_created", &[("tea", 1)]),
            brief("Order:1", "order_destroyed", &[("tea", 1)]),
        ]
    );
    let snapshot = &messages[1].order;
    assert!(snapshot["canceled_at"].is_string(), "{snapshot}");
    assert_eq!(snapshot["total"], "1.5");
}
