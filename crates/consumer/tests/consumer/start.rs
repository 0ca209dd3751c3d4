//! Nothing is read before everything was found in place.

use dionysus_consumer::{ClientConfig, Consumer, Error, Removal, ReplicaFault, ReplicaMapping};
use dionysus_embedded::testing;
use dionysus_postgres::schema;
use tokio_util::sync::CancellationToken;

use crate::support::rental;

fn consumer(pool: &sqlx::PgPool, replicas: Vec<ReplicaMapping>) -> Consumer {
    Consumer::builder(pool.clone(), ClientConfig::new("127.0.0.1:1"))
        .group("g")
        .topic("v3_rentals", replicas)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_database_without_the_schema_is_refused_with_the_command() {
    let database = testing::database().await;
    let error =
        consumer(&database.pool, vec![rental()]).run(CancellationToken::new()).await.unwrap_err();
    assert!(
        matches!(error, Error::Database(dionysus_postgres::Error::SchemaMissing { .. })),
        "{error:?}"
    );
    assert!(error.remedy().unwrap().contains("dionysus migrate"));
}

#[tokio::test]
async fn every_fault_of_every_table_is_reported_at_once() {
    let database = testing::database().await;
    schema::migrate(&database.pool).await.unwrap();
    sqlx::raw_sql(
        "create table rentals (synced_id bigint, name text, demanded int not null, gone text, seen text, data text,
                               twice int generated always as (1) stored, created_at timestamp not null);
         create view fees as select 1 as synced_id",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let mut wrong = ReplicaMapping {
        updated_at: Some("seen".into()),
        synced_data: Some("data".into()),
        removal: Removal::Flag("gone".into()),
        ..rental()
    };
    wrong.columns[1].column = "twice".into();
    let mut lacking = ReplicaMapping {
        model: "Room".into(),
        canceled_at: Some("canceled_at".into()),
        ..rental()
    };
    lacking.columns[0].column = "No such column".into();
    let error = consumer(&database.pool, vec![wrong, lacking, ReplicaMapping::new("Fee", "fees")])
        .check()
        .await
        .unwrap_err();
    let Error::Replicas { faults } = &error else { panic!("{error:?}") };
    let kinds: Vec<&str> = faults
        .iter()
        .map(|fault| match fault {
            ReplicaFault::TableMissing { .. } => "table",
            ReplicaFault::ColumnsMissing { .. } => "columns",
            ReplicaFault::NoUniqueIndex { .. } => "index",
            ReplicaFault::ValueDemanded { .. } => "demanded",
            ReplicaFault::Generated { .. } => "generated",
            ReplicaFault::WrongType { .. } => "type",
            _ => "other",
        })
        .collect();
    assert_eq!(
        kinds,
        ["index", "demanded", "generated", "type", "type", "type", "index", "columns", "table"],
        "{error}"
    );
    let shown = error.to_string();
    for part in [
        "`demanded`",
        "`canceled_at`, `No such column`, `account_id`",
        "`fees` of the replica of `Fee` does not exist",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[tokio::test]
async fn the_remedys_statements_cure_what_is_missing() {
    let database = testing::database().await;
    schema::migrate(&database.pool).await.unwrap();
    sqlx::raw_sql("create table rooms (synced_id bigint, demanded int not null)")
        .execute(&database.pool)
        .await
        .unwrap();
    let room = ReplicaMapping {
        updated_at: Some("synced_updated_at".into()),
        synced_data: Some("Data".into()),
        removal: Removal::Flag("gone".into()),
        ..ReplicaMapping::new("Room", "public.rooms")
    };
    let replicas = vec![rental(), room];
    // A table is first made, then looked at more closely.
    for _ in 0..2 {
        let Err(error) = consumer(&database.pool, replicas.clone()).check().await else { break };
        let Error::Replicas { faults } = &error else { panic!("{error:?}") };
        for fault in faults {
            let ddl = fault.ddl().unwrap().to_owned();
            sqlx::raw_sql(sqlx::AssertSqlSafe(ddl)).execute(&database.pool).await.unwrap();
        }
    }
    consumer(&database.pool, replicas).check().await.unwrap();
}
