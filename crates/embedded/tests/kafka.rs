//! Apache Kafka and the embedded broker.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use dionysus_embedded::{Broker, Kafka, KafkaOptions, testing};

/// Whether a Kafka-protocol server answers there: `ApiVersions`, version 0, without a client id.
fn answers(bootstrap: &str) -> bool {
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
    let ask = || -> std::io::Result<[u8; 10]> {
        let mut stream = TcpStream::connect(bootstrap)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&request)?;
        let mut response = [0; 10];
        stream.read_exact(&mut response)?;
        Ok(response)
    };
    // Four bytes of length, the correlation id we sent, no error.
    ask().is_ok_and(|response| response[4..] == [0, 0, 0, 7, 0, 0])
}

#[tokio::test]
async fn kafka_keeps_its_port_and_data_when_killed_and_restarted() {
    let mut kafka = Kafka::start(KafkaOptions::default()).await.unwrap();
    let bootstrap = kafka.bootstrap().to_owned();
    assert!(answers(&bootstrap));
    let folder = kafka.log_file().parent().unwrap().to_owned();

    kafka.kill().await;
    assert_eq!(kafka.pid(), None);
    assert!(!answers(&bootstrap));
    let identity = std::fs::read(folder.join("data/meta.properties")).unwrap();
    kafka.restart().await.unwrap();
    assert_eq!(kafka.bootstrap(), bootstrap);
    assert!(answers(&bootstrap));
    assert_eq!(std::fs::read(folder.join("data/meta.properties")).unwrap(), identity);

    kafka.stop().await;
    assert!(!folder.exists());
    assert!(!answers(&bootstrap));
}

#[tokio::test]
async fn a_wrong_property_is_reported_with_kafkas_words() {
    let options = KafkaOptions { properties: vec![("num.partitions".into(), "many".into())] };
    let error = Kafka::start(options).await.unwrap_err();
    assert!(error.to_string().contains("num.partitions"), "{error}");
}

#[tokio::test]
async fn the_embedded_broker_answers_until_it_is_dropped() {
    let broker = Broker::start().await.unwrap();
    let bootstrap = broker.bootstrap().to_owned();
    assert!(answers(&bootstrap));
    drop(broker);
    let closed = async {
        while TcpStream::connect(&bootstrap).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
}

#[tokio::test]
async fn the_tests_of_a_process_share_brokers_but_no_topics() {
    assert_eq!(testing::brokers().await, testing::brokers().await);
    let (one, two) = (testing::topic("v3_rentals"), testing::topic("v3_rentals"));
    assert_ne!(one, two);
    assert!(one.starts_with("v3_rentals_"));
}
