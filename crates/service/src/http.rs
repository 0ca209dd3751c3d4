//! The endpoint: `/livez`, `/readyz`, `/metrics`.
//!
//! It opens before anything else is reached, so that a probe is answered from the first moment on, and answers from memory: a server
//! that is away delays no answer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::{Exit, Health, HttpConfig, Report, Verdict, metrics};

/// How often observations of histograms are taken out of their buffers; a scrape does it too.
const UPKEEP: Duration = Duration::from_secs(5);

/// What is found at `/`.
const INDEX: &str = "\
/livez    200 while the main loop turns, else 503
/readyz   200 while it makes progress or has nothing to do, else 503 with the reasons
/metrics  Prometheus
";

/// The open endpoint; it closes when dropped.
#[derive(Debug)]
pub struct HttpServer {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    address: SocketAddr,
    slot: Slot,
    tasks: [AbortHandle; 2],
}

impl HttpServer {
    /// Opens it, and installs the recorder behind the metrics of this process; does neither without an address. Call it
    /// before whatever is to be measured is made.
    ///
    /// # Errors
    /// A report with [`Exit::Config`] if the address can't be had, [`Exit::Failure`] if metrics go somewhere already.
    pub async fn start(config: &HttpConfig) -> Result<Self, Report> {
        if config.listen.is_empty() {
            return Ok(Self { open: None });
        }
        let refused = |error| {
            Report::new(Exit::Config, format!("http.listen = {} can't be had", config.listen))
                .caused_by(error)
                .remedy("set http.listen to a free address, or to nothing for no endpoint")
        };
        let listener = TcpListener::bind(&config.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let (slot, recorder) = (Slot::default(), metrics::install()?);
        let upkeep = tokio::spawn(keep_up(recorder.clone())).abort_handle();
        let app = router(slot.clone(), recorder);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "http endpoint ended");
            }
        });
        tracing::info!(%address, "http endpoint open");
        let tasks = [upkeep, server.abort_handle()];
        Ok(Self { open: Some(Open { address, slot, tasks }) })
    }

    /// From now on answers for this component; before, it is said to be starting.
    pub fn watch(&self, health: impl Health) {
        if let Some(open) = &self.open {
            open.slot.fill(health);
        }
    }

    /// Whether anybody can ask.
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Where it listens, with the port that was given for port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        self.open.as_ref().map(|open| open.address)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Where the endpoint finds the component: empty while the program starts.
#[derive(Clone, Default)]
struct Slot(Arc<OnceLock<Box<dyn Health>>>);

impl Slot {
    /// Fills it; the first one stays.
    fn fill(&self, health: impl Health) {
        self.0.get_or_init(|| Box::new(health));
    }

    /// Alive from the first moment: whoever starts must not be restarted for that.
    fn alive(&self) -> Verdict {
        self.0.get().map_or_else(Verdict::default, |health| health.alive())
    }

    fn ready(&self) -> Verdict {
        let starting = || Verdict { reasons: vec!["starting".into()], detail: Value::Null };
        self.0.get().map_or_else(starting, |health| health.ready())
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("filled", &self.0.get().is_some()).finish()
    }
}

async fn keep_up(recorder: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        recorder.run_upkeep();
    }
}

fn router(slot: Slot, recorder: PrometheusHandle) -> Router {
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/livez", get(|State(slot): State<Slot>| async move { answer(&slot.alive()) }))
        .route("/readyz", get(|State(slot): State<Slot>| async move { answer(&slot.ready()) }))
        .with_state(slot)
        .route("/metrics", get(|| async move { exposition(&recorder) }))
}

type Answer = (StatusCode, [(HeaderName, &'static str); 1], String);

fn answer(verdict: &Verdict) -> Answer {
    let (status, word) = if verdict.is_good() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let body = serde_json::json!({
        "status": word,
        "reasons": verdict.reasons,
        "detail": verdict.detail,
    });
    (status, [(CONTENT_TYPE, "application/json")], format!("{body:#}\n"))
}

fn exposition(recorder: &PrometheusHandle) -> Answer {
    let text = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (StatusCode::OK, text, recorder.render())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::probe;

    /// Stuck, or not.
    struct Component(Arc<AtomicBool>);

    impl Health for Component {
        fn alive(&self) -> Verdict {
            Verdict::default()
        }

        fn ready(&self) -> Verdict {
            let stuck = self.0.load(Ordering::Relaxed);
            let reasons =
                if stuck { vec!["lane `v3_rentals` stands still".into()] } else { vec![] };
            Verdict { reasons, detail: serde_json::json!({ "lanes": 1 }) }
        }
    }

    async fn ask(address: SocketAddr, path: &str) -> (u16, String) {
        let url = format!("http://{address}{path}");
        tokio::task::spawn_blocking(move || probe::get(&url).unwrap()).await.unwrap()
    }

    /// One test: the recorder is the process's.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_endpoint_answers_for_the_component() {
        let config = HttpConfig { listen: "127.0.0.1:0".into(), ..HttpConfig::default() };
        let server = HttpServer::start(&config).await.unwrap();
        let address = server.address().unwrap();
        assert_eq!(ask(address, "/livez").await.0, 200);
        let (status, body) = ask(address, "/readyz").await;
        assert_eq!(status, 503);
        assert!(body.contains("starting"), "{body}");

        let stuck = Arc::new(AtomicBool::new(false));
        server.watch(Component(Arc::clone(&stuck)));
        let (status, body) = ask(address, "/readyz").await;
        assert_eq!(status, 200);
        assert!(body.contains("\"lanes\": 1"), "{body}");
        stuck.store(true, Ordering::Relaxed);
        let (status, body) = ask(address, "/readyz").await;
        assert_eq!(status, 503);
        assert!(body.contains("lane `v3_rentals` stands still"), "{body}");

        ::metrics::describe_histogram!("dionysus_test_seconds", "Told by a test.");
        ::metrics::histogram!("dionysus_test_seconds").record(0.004);
        let (status, body) = ask(address, "/metrics").await;
        assert_eq!(status, 200);
        assert!(body.contains("# HELP dionysus_test_seconds Told by a test."), "{body}");
        assert!(body.contains("dionysus_test_seconds_bucket{le=\"0.005\"} 1"), "{body}");
        assert_eq!(ask(address, "/nothing").await.0, 404);
    }

    #[test]
    fn who_starts_is_alive_and_not_ready() {
        let slot = Slot::default();
        assert!(slot.alive().is_good());
        assert_eq!(slot.ready().reasons, ["starting"]);
    }

    #[tokio::test]
    async fn without_an_address_there_is_no_endpoint() {
        let server = HttpServer::start(&HttpConfig::default()).await.unwrap();
        assert!(!server.is_open());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_a_fault_of_the_configuration() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = taken.local_addr().unwrap().to_string();
        let config = HttpConfig { listen, ..HttpConfig::default() };
        let report = HttpServer::start(&config).await.unwrap_err();
        assert_eq!(report.exit(), Exit::Config);
    }
}
