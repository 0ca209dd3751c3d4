//! Requests that meet. A lock on the outbox stops each where it has read what it publishes, so that the interleaving is the worst one and
//! not a matter of luck.

use axum::http::{Method, StatusCode};
use serde_json::json;
use sqlx::postgres::PgTransaction;

use crate::service::{Service, brief};

/// Until it is dropped, nothing is written to the outbox.
async fn outbox_stopped(service: &Service) -> PgTransaction<'static> {
    let mut tx = service.database.pool.begin().await.unwrap();
    sqlx::query("lock table dionysus.outbox in share mode").execute(&mut *tx).await.unwrap();
    tx
}

#[tokio::test]
async fn of_two_requests_on_two_lines_of_an_order_the_last_message_holds_both() {
    let service = Service::start().await;
    let zoe = service.api.customer("Zoe").await;
    let (order, lines) = service.api.order(zoe, &["tea", "sugar"]).await;

    let stopped = outbox_stopped(&service).await;
    let mut requests = Vec::new();
    for (waiting, line) in (1..).zip(lines) {
        let api = service.api.clone();
        requests.push(tokio::spawn(async move { api.quantity(order, line, 7).await }));
        service.waiting(waiting).await;
    }
    stopped.rollback().await.unwrap();
    for request in requests {
        request.await.unwrap();
    }

    let messages = service.messages().await;
    let briefs: Vec<_> = messages[1..].iter().map(|message| message.brief()).collect();
    assert_eq!(
        briefs,
        [
            brief("Order:1", "order_updated", &[("tea", 7), ("sugar", 1)]),
            brief("Order:1", "order_updated", &[("tea", 7), ("sugar", 7)]),
        ]
    );
}

#[tokio::test]
async fn an_order_that_is_made_while_its_customer_is_renamed_ends_with_the_new_name() {
    let service = Service::start().await;
    let zoe = service.api.customer("Zoe").await;

    let stopped = outbox_stopped(&service).await;
    let api = service.api.clone();
    let made = tokio::spawn(async move { api.order(zoe, &["tea"]).await });
    service.waiting(1).await;
    let api = service.api.clone();
    let renamed = tokio::spawn(async move { api.rename(zoe, "Zoe Ltd").await });
    service.waiting(2).await;
    stopped.rollback().await.unwrap();
    made.await.unwrap();
    renamed.await.unwrap();

    let messages = service.messages().await;
    let names: Vec<_> = messages.iter().map(|message| &message.order["customer_name"]).collect();
    assert_eq!(names, ["Zoe", "Zoe Ltd"]);
}

#[tokio::test]
async fn a_request_that_a_deadlock_ended_is_repeated_once() {
    let service = Service::start().await;
    let zoe = service.api.customer("Zoe").await;
    let (order, lines) = service.api.order(zoe, &["tea"]).await;
    let path = format!("/orders/{order}/lines/{}", lines[0]);
    // Of a table, since that lock goes to whoever has waited longest, and not to the request that is repeated.
    let lock_lines = "lock table order_lines in exclusive mode";
    let lock_order = "select from orders where id = $1 for update";

    // Who locks the order before the lines meets who locks a line before its order, and is patient: the other's wait is looked into first.
    let mut other = service.database.pool.begin().await.unwrap();
    sqlx::query("set local deadlock_timeout = '1min'").execute(&mut *other).await.unwrap();
    sqlx::query(lock_order).bind(order).execute(&mut *other).await.unwrap();
    let api = service.api.clone();
    let request =
        tokio::spawn(async move { api.call(Method::PATCH, &path, json!({ "quantity": 5 })).await });
    service.waiting(1).await;
    // Granted when the request has given way.
    sqlx::query(lock_lines).execute(&mut *other).await.unwrap();
    assert!(!request.is_finished(), "the request is repeated");
    other.commit().await.unwrap();

    let (status, line) = request.await.unwrap();
    assert_eq!((status, &line["quantity"]), (StatusCode::OK, &json!(5)));
    let messages = service.messages().await;
    let briefs: Vec<_> = messages[1..].iter().map(|message| message.brief()).collect();
    assert_eq!(briefs, [brief("Order:1", "order_updated", &[("tea", 5)])]);
}
