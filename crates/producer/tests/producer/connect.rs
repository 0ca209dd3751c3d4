use dionysus_embedded::testing;
use dionysus_postgres::topics;
use dionysus_producer::{Error, Outbox, Topology};
use sqlx::postgres::PgPoolOptions;

use crate::fixture::*;

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_the_command_that_makes_it() {
    let database = testing::database().await;
    let error = Outbox::connect(database.pool.clone(), topology()).await.unwrap_err();
    assert!(
        matches!(error, Error::Postgres(dionysus_postgres::Error::SchemaMissing { .. })),
        "{error:?}"
    );
    assert!(error.remedy().unwrap().contains("dionysus migrate"));
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_an_error_without_its_password() {
    let pool = PgPoolOptions::new()
        .acquire_timeout(std::time::Duration::from_millis(200))
        .connect_lazy("postgres://someone:secret@127.0.0.1:1/nowhere")
        .unwrap();
    let error = Outbox::connect(pool, topology()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert!(error.remedy().is_some(), "{error:?}");
}

#[tokio::test]
async fn connecting_registers_the_topology_once() {
    let (database, _outbox) = outbox().await;
    let versions = "select name || ' ' || xmin from dionysus.topics order by name";
    let first: Vec<String> = sqlx::query_scalar(versions).fetch_all(&database.pool).await.unwrap();
    Outbox::connect(database.pool.clone(), topology()).await.unwrap();
    let second: Vec<String> = sqlx::query_scalar(versions).fetch_all(&database.pool).await.unwrap();
    assert_eq!(first, second);

    let topics = topics::all(&database.pool).await.unwrap();
    let names: Vec<_> =
        topics.iter().map(|topic| (topic.name.as_str(), topic.genesis_replica)).collect();
    assert_eq!(names, [("v3_documents", false), ("v3_rentals", true)]);
    let rental = &topics[1].topology["models"][0];
    assert_eq!(
        (&rental["model"], &rental["table"], &rental["primary_key"], &rental["soft_delete"]),
        (&"Rental".into(), &"rentals".into(), &"id".into(), &"canceled_at".into())
    );
    assert_eq!(rental["columns"][1]["column"], "account_id");
    assert_eq!(rental["partition_key"]["attribute"], "account_id");
}

#[tokio::test]
async fn a_changed_topology_replaces_the_registered_one_and_keeps_other_topics() {
    let (database, _outbox) = outbox().await;
    let changed = Topology::builder()
        .namespace("v3", |ns| ns.topic("rentals", |t| t.publish::<Rental>()))
        .build()
        .unwrap();
    Outbox::connect(database.pool.clone(), changed).await.unwrap();
    let topics = topics::all(&database.pool).await.unwrap();
    let names: Vec<_> =
        topics.iter().map(|topic| (topic.name.as_str(), topic.genesis_replica)).collect();
    assert_eq!(names, [("v3_documents", false), ("v3_rentals", false)]);
}
