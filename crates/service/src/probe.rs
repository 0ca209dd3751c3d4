//! Asking a running process how it is: `outbox-relay --health-check`, for containers without an HTTP client.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::{Exit, HttpConfig, Report};

/// What is asked when the URL names no path.
const PATH: &str = "/readyz";

/// Connecting, and then each read.
const TIMEOUT: Duration = Duration::from_secs(5);

/// More is not an answer of ours.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Flatten it into the arguments of a binary that has an endpoint.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct HealthCheck {
    /// Ask a running process at URL how it is, and end: 0 healthy, 1 not, with the reasons. Without URL: `/readyz` at http.listen
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    pub health_check: Option<String>,
}

impl HealthCheck {
    /// Asks if it was wanted; `None` if not.
    ///
    /// # Errors
    /// A report with [`Exit::Failure`] if the process is not healthy or can't be reached, [`Exit::Config`] if nobody knows
    /// whom to ask.
    pub fn run(&self, config: &HttpConfig) -> Option<Result<(), Report>> {
        self.health_check.as_ref().map(|url| check(url, config))
    }
}

fn check(url: &str, config: &HttpConfig) -> Result<(), Report> {
    let url = if url.is_empty() { own_url(config)? } else { url.to_owned() };
    let unreachable = |error| {
        Report::new(Exit::Failure, format!("unhealthy: {url} can't be reached"))
            .caused_by(error)
            .remedy("check that the process runs and that http.listen is set for it")
    };
    let (status, body) = get(&url).map_err(unreachable)?;
    if status == 200 {
        return Ok(());
    }
    let reasons = reasons(&body).unwrap_or_else(|| format!("status {status}"));
    Err(Report::new(Exit::Failure, format!("unhealthy: {reasons}")))
}

/// An address to listen on names all interfaces by zeros; asking needs one of them.
fn own_url(config: &HttpConfig) -> Result<String, Report> {
    let (host, port) = config.listen.rsplit_once(':').ok_or_else(|| {
        Report::new(Exit::Config, "nobody can be asked: http.listen is not set")
            .remedy("set http.listen as for the process, or name a URL: --health-check=http://127.0.0.1:9464/readyz")
    })?;
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        named => named,
    };
    Ok(format!("http://{host}:{port}{PATH}"))
}

fn reasons(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    let reasons: Vec<&str> =
        answer.get("reasons")?.as_array()?.iter().filter_map(|reason| reason.as_str()).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// One GET; status and body.
pub(crate) fn get(url: &str) -> io::Result<(u16, String)> {
    let malformed = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let rest =
        url.strip_prefix("http://").ok_or_else(|| malformed("the URL begins with http://"))?;
    let (authority, path) = rest.find('/').map_or((rest, PATH), |at| rest.split_at(at));
    let with_port =
        if has_port(authority) { authority.to_owned() } else { format!("{authority}:80") };
    let mut last = malformed("the host has no address");
    for address in with_port.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => return exchange(stream, authority, path),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn exchange(mut stream: TcpStream, host: &str, path: &str) -> io::Result<(u16, String)> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the answer ends with the connection, and is not cut into chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: */*\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_ascii_whitespace().nth(1).and_then(|status| status.parse().ok());
    let no_http = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    Ok((status.ok_or_else(no_http)?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers once.
    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut piece) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "the request ends early");
                request.extend_from_slice(&piece[..read]);
            }
            assert!(request.starts_with(b"GET /readyz HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address.to_string()
    }

    fn check_at(listen: String) -> Result<(), Report> {
        check("", &HttpConfig { listen, ..HttpConfig::default() })
    }

    #[test]
    fn a_healthy_process_passes() {
        assert!(check_at(answering("HTTP/1.1 200 OK\r\n\r\n{}")).is_ok());
    }

    #[test]
    fn an_unhealthy_one_fails_with_its_reasons() {
        let answer =
            "HTTP/1.1 503 No\r\nA: b\r\n\r\n{\"reasons\": [\"a stands still\", \"b too\"]}";
        let report = check_at(answering(answer)).unwrap_err();
        assert_eq!(report.exit(), Exit::Failure);
        assert_eq!(report.to_string(), "error: unhealthy: a stands still; b too");
    }

    #[test]
    fn whoever_is_not_there_is_unhealthy() {
        // Bound and closed again: nobody listens there.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let report = check_at(free.to_string()).unwrap_err();
        assert_eq!(report.exit(), Exit::Failure);
        assert!(report.to_string().contains("can't be reached"), "{report}");
        let report = check("https://127.0.0.1:1", &HttpConfig::default()).unwrap_err();
        assert!(report.to_string().contains("begins with http://"), "{report}");
    }

    #[test]
    fn without_an_endpoint_nobody_can_be_asked() {
        assert_eq!(check_at(String::new()).unwrap_err().exit(), Exit::Config);
    }

    #[test]
    fn all_interfaces_are_asked_at_this_machine() {
        for (listen, url) in [
            ("0.0.0.0:9464", "http://127.0.0.1:9464/readyz"),
            ("[::]:9464", "http://[::1]:9464/readyz"),
            ("relay.internal:80", "http://relay.internal:80/readyz"),
        ] {
            let config = HttpConfig { listen: listen.into(), ..HttpConfig::default() };
            assert_eq!(own_url(&config).unwrap(), url);
        }
    }
}
