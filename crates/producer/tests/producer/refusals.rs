use dionysus_producer::{Error, Topology};

use crate::fixture::*;

fn document(code: &str, region: &str, bytes: &[u8]) -> Document {
    Document { code: code.to_owned(), region: region.to_owned(), bytes: bytes.to_vec() }
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_when_it_is_staged_and_the_transaction_goes_on() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "good")).unwrap();
    let error = tx.created(&Stranger { id: 1 }).unwrap_err();
    assert!(
        matches!(&error, Error::ModelNotPublished { model } if model == "Stranger"),
        "{error:?}"
    );
    assert_eq!(error.key(), None);
    for (document, text) in [
        (document("", "eu", b""), "an instance of model `Core::Document` has an empty id"),
        (
            document("a\0", "eu", b""),
            "id or partition key of an instance of model `Core::Document` holds a NUL",
        ),
        (
            document("a", "e\0u", b""),
            "id or partition key of an instance of model `Core::Document` holds a NUL",
        ),
        (
            document("a", "", b""),
            "the partition key of an instance of model `Core::Document` for topic `v3_documents` is empty",
        ),
        (
            document(&"a".repeat(2_100), "eu", b""),
            "a key of model `Core::Document` has 2115 bytes, the outbox takes 2048",
        ),
        (document("a", "eu", &[0xff]), "a snapshot of model `Core::Document` cannot be written"),
        (
            document("a", "eu", &[b'x'; 200]),
            "a message of model `Core::Document` has 353 bytes, topic `v3_documents` takes 300",
        ),
    ] {
        let error = tx.created(&document).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert!(error.remedy().is_some(), "{text}");
        assert_eq!(error.key().unwrap(), format!("Core::Document:{}", document.code));
        assert!(!format!("{error:?}").contains("Document:"), "a key is in no text: {error:?}");
    }
    assert_eq!(tx.staged(), 1);
    let one: i32 = sqlx::query_scalar("select 1").fetch_one(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        (one, events(&database.pool).await),
        (1, vec!["Rental:1 rental_created".to_owned()])
    );
}

#[tokio::test]
async fn a_message_of_exactly_the_limit_is_taken() {
    let (database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.destroyed(&document("a", "eu", b"")).unwrap();
    tx.commit().await.unwrap();
    let [row] = rows(&database.pool).await.try_into().unwrap();
    let size = row.key.len() + row.payload.len();
    for (limit, taken) in [(size, true), (size - 1, false)] {
        let topology = Topology::builder()
            .namespace("v3", |ns| {
                ns.topic("documents", |t| t.max_message_bytes(limit).publish::<Document>())
            })
            .build()
            .unwrap();
        let outbox =
            dionysus_producer::Outbox::connect(database.pool.clone(), topology).await.unwrap();
        let mut stage = outbox.stage();
        let result = stage.destroyed(&document("a", "eu", b""));
        stage.discard();
        match result {
            Ok(()) => assert!(taken),
            Err(Error::TooLarge { size: found, limit: allowed, topic, .. }) => {
                assert_eq!(
                    (found, allowed, topic.as_str(), taken),
                    (size, limit, "v3_documents", false)
                );
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_by_one_topic_stages_nothing_for_the_others() {
    let database = migrated().await;
    let topology = Topology::builder()
        .namespace("v3", |ns| {
            ns.topic("wide", |t| t.publish::<Rental>())
                .topic("narrow", |t| t.max_message_bytes(120).publish::<Rental>())
        })
        .build()
        .unwrap();
    let outbox = dionysus_producer::Outbox::connect(database.pool.clone(), topology).await.unwrap();
    let mut tx = outbox.begin().await.unwrap();
    assert!(matches!(tx.created(&rental(1, "a")), Err(Error::TooLarge { .. })));
    assert_eq!(tx.staged(), 0);
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_stage_is_not_written_outside_a_transaction() {
    let (database, outbox) = outbox().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let mut stage = outbox.stage();
    stage.created(&rental(1, "a")).unwrap();
    let error = stage.write(&mut conn).await.unwrap_err();
    assert!(matches!(error, Error::NoTransaction) && error.remedy().is_some(), "{error:?}");
    assert_eq!(rows(&database.pool).await, []);
}

#[tokio::test]
async fn errors_and_debug_output_show_no_payload() {
    let (_database, outbox) = outbox().await;
    let mut tx = outbox.begin().await.unwrap();
    tx.created(&rental(1, "a private name")).unwrap();
    let debug = format!("{tx:?}");
    tx.rollback().await.unwrap();
    assert!(
        debug.contains("len: 1") && !debug.contains("private") && !debug.contains("Rental:1"),
        "{debug}"
    );
}
