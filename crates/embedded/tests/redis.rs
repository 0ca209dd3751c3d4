//! Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use dionysus_embedded::Redis;

/// Whether a Redis answers there.
fn answers(address: &str) -> bool {
    let ask = || -> std::io::Result<[u8; 7]> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"PING\r\n")?;
        let mut response = [0; 7];
        stream.read_exact(&mut response)?;
        Ok(response)
    };
    ask().is_ok_and(|response| &response == b"+PONG\r\n")
}

#[tokio::test]
async fn redis_keeps_its_port_when_killed_and_restarted() {
    let mut redis = Redis::start().await.unwrap();
    let address = redis.address();
    assert_eq!(redis.url(), format!("redis://{address}"));
    assert!(answers(&address));
    redis.kill().await;
    assert_eq!(redis.pid(), None);
    assert!(!answers(&address));
    redis.restart().await.unwrap();
    assert_eq!(redis.address(), address);
    assert!(answers(&address));
    redis.stop().await;
    assert!(!answers(&address));
}
