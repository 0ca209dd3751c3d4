use dionysus_postgres::lanes;
use dionysus_postgres::quarantine::{self, Contents};
use serde_json::json;

use super::Scene;

#[tokio::test]
async fn people_see_refused_rows_and_those_behind_them_if_they_ask() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    let held = scene
        .set_aside(
            "v3_a",
            &[("Rental:1", Some("no")), ("Rental:2", Some("no")), ("Rental:1", None)],
        )
        .await;
    let other = scene.set_aside("v3_b", &[("Rental:1", Some("no"))]).await;
    let list = async |topic, behind, limit| {
        let rows = quarantine::list(pool, topic, behind, limit).await.unwrap();
        rows.iter().map(|row| (row.seq, row.behind)).collect::<Vec<_>>()
    };
    assert_eq!(list(None, false, 10).await, [(held[0], 1), (held[1], 0), (other[0], 0)]);
    assert_eq!(list(Some("v3_a"), true, 10).await, [(held[0], 1), (held[1], 0), (held[2], 0)]);
    assert_eq!(list(None, true, 2).await, [(held[0], 1), (held[1], 0)]);
    assert_eq!(list(Some("v3_c"), true, 10).await, []);

    let counts: Vec<_> = lanes::all(pool)
        .await
        .unwrap()
        .into_iter()
        .map(|lane| (lane.topic, lane.quarantined))
        .collect();
    assert_eq!(counts, [("v3_a".to_owned(), 3), ("v3_b".to_owned(), 1)]);
}

#[tokio::test]
async fn what_a_row_holds_is_read_apart_from_what_it_is() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    let seq = scene.set_aside("v3_a", &[("Rental:1", Some("no"))]).await[0];
    let entry = quarantine::show(pool, "v3_a", seq).await.unwrap().unwrap();
    assert_eq!(
        (entry.key.as_str(), entry.bytes, entry.cause.as_deref()),
        ("Rental:1", 2, Some("no"))
    );
    assert!(entry.created_at <= entry.quarantined_at && entry.retry_at.unwrap() > entry.created_at);
    let contents = quarantine::contents(pool, "v3_a", seq).await.unwrap().unwrap();
    assert_eq!(contents, Contents { payload: Some(b"{}".to_vec()), headers: None, capture: None });

    let captured =
        "update dionysus.quarantine set payload = null, capture = '{\"id\": \"1\"}' where seq = $1";
    scene.run(captured, seq).await;
    assert_eq!(quarantine::show(pool, "v3_a", seq).await.unwrap().unwrap().bytes, 11);
    let contents = quarantine::contents(pool, "v3_a", seq).await.unwrap().unwrap();
    assert_eq!(contents.capture, Some(json!({ "id": "1" })));
    scene.run("update dionysus.quarantine set capture = null where seq = $1", seq).await;
    assert_eq!(quarantine::show(pool, "v3_a", seq).await.unwrap().unwrap().bytes, 0, "a tombstone");

    assert_eq!(
        quarantine::show(pool, "v3_b", seq).await.unwrap(),
        None,
        "a number belongs to its lane"
    );
    assert_eq!(quarantine::contents(pool, "v3_a", seq + 1).await.unwrap(), None);
}
