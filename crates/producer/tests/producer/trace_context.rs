use std::sync::atomic::{AtomicU64, Ordering};

use dionysus_producer::{OutboxOptions, TraceContext};
use serde_json::{Value, json};

use crate::fixture::*;

/// Differs in its parent's number.
fn context(n: u64, tracestate: Option<&str>) -> TraceContext {
    let parent = format!("00-0af7651916cd43dd8448eb211c80319c-{n:016x}-01");
    TraceContext::new(&parent, tracestate).unwrap()
}

fn header(n: u64) -> Value {
    json!({ "traceparent": context(n, None).traceparent() })
}

async fn headers(pool: &sqlx::PgPool) -> Vec<Option<Value>> {
    sqlx::query_scalar("select headers from dionysus.outbox order by seq")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn without_trace_context_a_row_has_no_headers() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(headers(&database.pool).await, [None]);
}

#[tokio::test]
async fn the_context_set_on_a_transaction_is_in_the_headers_of_what_it_stages_from_then_on() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.set_trace_context(Some(context(1, Some("vendor=x"))));
    tx.created(&rental(2, "a")).unwrap();
    let mut savepoint = tx.savepoint().await.unwrap();
    savepoint.created(&rental(3, "a")).unwrap();
    savepoint.set_trace_context(Some(context(2, Some("not a tracestate"))));
    savepoint.created_all(&[rental(4, "a"), rental(5, "a")]).unwrap();
    savepoint.commit().await.unwrap();
    tx.changed(None, Some(&rental(6, "a"))).unwrap();
    tx.set_trace_context(None);
    tx.created(&rental(7, "a")).unwrap();
    tx.commit().await.unwrap();
    let first = Some(json!({
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01",
        "tracestate": "vendor=x"
    }));
    assert_eq!(
        headers(&database.pool).await,
        [None, first.clone(), first.clone(), Some(header(2)), Some(header(2)), first, None]
    );
}

#[tokio::test]
async fn a_source_is_asked_once_for_each_call_and_the_last_of_coalesced_events_counts() {
    let database = migrated().await;
    let asked = AtomicU64::new(0);
    let source = move || Some(context(asked.fetch_add(1, Ordering::Relaxed) + 1, None));
    let outbox = connect(&database.pool, OutboxOptions::new().trace_context(source)).await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a")).unwrap();
    tx.created_all(&[rental(2, "a"), rental(3, "a")]).unwrap();
    tx.updated(&rental(1, "b")).unwrap();
    tx.suppressed().created(&rental(4, "a")).unwrap();
    tx.created(&rental(5, "a")).unwrap();
    tx.set_trace_context(Some(context(99, None)));
    tx.created(&rental(6, "a")).unwrap();
    tx.set_trace_context(None);
    tx.created(&rental(7, "a")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        headers(&database.pool).await,
        [
            Some(header(3)),
            Some(header(2)),
            Some(header(2)),
            Some(header(4)),
            Some(header(99)),
            None
        ]
    );
}

#[tokio::test]
async fn a_stage_of_the_applications_own_transaction_carries_it_too() {
    let (database, outbox) = outbox().await;
    let mut own = database.pool.begin().await.unwrap();
    let mut stage = outbox.stage();
    stage.set_trace_context(Some(context(1, None)));
    stage.created(&rental(1, "a")).unwrap();
    stage.write(&mut own).await.unwrap();
    own.commit().await.unwrap();
    assert_eq!(headers(&database.pool).await, [Some(header(1))]);
}
