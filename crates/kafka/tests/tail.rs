use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dionysus_kafka::tail;

use crate::harness::{PATIENCE, config, fill, topic};

#[tokio::test]
async fn the_last_records_of_each_topic_are_shown_and_empty_ones_end_at_once() {
    let config = config().await;
    let (full, short, empty) =
        (topic(&config, 1).await, topic(&config, 1).await, topic(&config, 3).await);
    fill(&config, &full, 100).await;
    fill(&config, &short, 1).await;
    let seen: Arc<Mutex<Vec<(String, i64)>>> = Arc::default();
    let into = Arc::clone(&seen);
    let topics = BTreeMap::from([(full.clone(), 1), (short.clone(), 1), (empty, 3)]);
    let whole = tail(&config, topics, 4, PATIENCE, move |topic, record| {
        into.lock().unwrap().push((topic.to_owned(), record.offset));
    })
    .await
    .unwrap();
    assert!(whole);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let mut expected: Vec<_> = (96..100).map(|offset| (full.clone(), offset)).collect();
    expected.push((short, 0));
    expected.sort();
    assert_eq!(seen, expected);
}
