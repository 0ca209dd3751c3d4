//! Asking a binary's endpoint.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An address of this machine on which nobody listens, for a process that is about to.
///
/// # Errors
/// When there is none.
pub fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// One GET; status and body.
///
/// # Errors
/// When nobody answers, or not in HTTP.
pub async fn http_get(address: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("not HTTP")?;
    let status = head.split_ascii_whitespace().nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

/// The value of a metric that counts; `series` is its name with its labels, as Prometheus writes them.
///
/// # Errors
/// As for [`http_get`], and when it is no whole number.
pub async fn metric(address: &str, series: &str) -> Result<Option<i64>> {
    let (_, body) = http_get(address, "/metrics").await?;
    let line = body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(line.map(str::parse).transpose()?)
}
