//! The binary.

use std::time::Duration;

use dionysus_e2e::{Process, eventually};
use dionysus_embedded::testing;
use tempfile::NamedTempFile;
use tokio::net::TcpStream;

use crate::service::{Api, waiting};

#[tokio::test]
async fn asked_to_end_the_service_answers_what_it_has_begun_and_takes_nothing_new() {
    let (database, brokers) = (testing::database().await, testing::brokers().await);
    let namespace = testing::topic("v1");
    let output = NamedTempFile::new().unwrap();
    let variables = [
        ("DATABASE_URL", database.url.as_str()),
        ("KAFKA_BROKERS", &brokers),
        ("LISTEN", "127.0.0.1:0"),
        ("NAMESPACE", &namespace),
    ];
    let mut process =
        Process::start_logging("axum-orders", &[], &variables, output.path()).unwrap();
    let address = eventually("the service to listen", async || {
        let printed = std::fs::read_to_string(output.path()).unwrap();
        let (_, rest) = printed.split_once("listening on http://")?;
        Some(rest.split_once(',')?.0.to_owned())
    })
    .await;

    let api = Api::at(&address);
    let zoe = api.customer("Zoe").await;
    let mut row = database.pool.begin().await.unwrap();
    let lock = "select from customers where id = $1 for update";
    sqlx::query(lock).bind(zoe).execute(&mut *row).await.unwrap();
    let request = tokio::spawn(async move { api.rename(zoe, "Zoe Ltd").await });
    waiting(&database.pool, 1).await;
    process.signal("TERM").await.unwrap();
    eventually("new connections to be refused", async || {
        TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await;
    assert!(!request.is_finished());
    row.rollback().await.unwrap();

    assert_eq!(request.await.unwrap()["name"], "Zoe Ltd");
    assert_eq!(process.ended(Duration::from_secs(30)).await.unwrap(), 0);
}
