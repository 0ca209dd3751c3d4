//! The exporter, and links.

use opentelemetry::trace::{
    SpanContext, SpanId, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::filter::{Filtered, Targets};
use tracing_subscriber::{Layer as _, Registry};

use super::{TRACES, Traces, is_wanted, variable};
use crate::{Exit, Report};

/// The layer that turns our spans into OpenTelemetry's.
pub(crate) type Layered = Filtered<OpenTelemetryLayer<Registry, SdkTracer>, Targets, Registry>;

impl Traces {
    pub(crate) fn of_environment(service: &'static str) -> Result<(Self, Option<Layered>), Report> {
        if !is_wanted(variable) {
            return Ok((Self::default(), None));
        }
        let exporter = SpanExporter::builder().with_http().build().map_err(|error| {
            Report::new(Exit::Config, "traces can't be sent")
                .caused_by(error)
                .remedy("check the variables OTEL_EXPORTER_OTLP_*; the protocol is http/protobuf")
        })?;
        let (traces, layer) = Self::to(exporter, service);
        Ok((traces, Some(layer)))
    }

    fn to(exporter: SpanExporter, service: &'static str) -> (Self, Layered) {
        let mut resource = Resource::builder();
        if variable("OTEL_SERVICE_NAME").is_none_or(|name| name.is_empty()) {
            resource = resource.with_service_name(service);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let layer = layer(&provider);
        (Self { wanted: true, provider: Some(provider) }, layer)
    }
}

/// Spans of ours alone, whatever is logged.
fn layer(provider: &SdkTracerProvider) -> Layered {
    let spans = Targets::new().with_target(TRACES, tracing::Level::DEBUG);
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("dionysus"))
        .with_location(false)
        .with_threads(false)
        .with_filter(spans)
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

pub(super) fn link(span: &Span, traceparent: &[u8]) {
    if let Some(context) = context(traceparent) {
        span.add_link(context);
    }
}

/// W3C Trace Context: `version-trace-parent-flags`, of which later versions may append to.
fn context(traceparent: &[u8]) -> Option<SpanContext> {
    let text = std::str::from_utf8(traceparent).ok()?;
    let mut parts = text.trim().split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let long_enough = version.len() == 2 && trace.len() == 32 && parent.len() == 16;
    if !long_enough || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(parent).ok()?,
        TraceFlags::new(u8::from_str_radix(flags.get(..2)?, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use opentelemetry_otlp::WithExportConfig as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::SpanData;
    use tracing_subscriber::layer::SubscriberExt as _;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const TRACE_ID: [u8; 16] = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();

    /// Keeps what is exported.
    #[derive(Clone, Debug, Default)]
    struct Sent(Arc<Mutex<Vec<SpanData>>>);

    impl opentelemetry_sdk::trace::SpanExporter for Sent {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn trace_a_window() {
        let span = tracing::debug_span!(target: TRACES, "relay.window", rows = 2);
        crate::link(&span, PARENT.as_bytes());
        crate::link(&span, b"no traceparent");
        drop(tracing::debug_span!("a span of somebody else"));
    }

    #[test]
    fn a_batch_is_linked_to_the_traces_of_its_messages() {
        let sent = Sent::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(sent.clone()).build();
        let subscriber = tracing_subscriber::registry().with(layer(&provider));
        tracing::subscriber::with_default(subscriber, trace_a_window);
        let spans = sent.0.lock().unwrap();
        assert_eq!(spans.len(), 1, "{spans:?}");
        assert_eq!(spans[0].name, "relay.window");
        let links: Vec<_> = spans[0].links.iter().map(|link| &link.span_context).collect();
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].trace_id().to_bytes(), TRACE_ID);
        assert_eq!(links[0].span_id().to_string(), "00f067aa0ba902b7");
        assert!(links[0].is_sampled());
    }

    #[test]
    fn spans_reach_a_receiver_before_the_process_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let receiver = std::thread::spawn(move || received(&listener));
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build().unwrap();
        let (traces, layer) = Traces::to(exporter, "outbox-relay");
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, trace_a_window);
        drop(traces);
        let (head, body) = receiver.join().unwrap();
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/x-protobuf"), "{head}");
        for part in [b"relay.window".as_slice(), b"outbox-relay", &TRACE_ID] {
            assert!(body.windows(part.len()).any(|window| window == part), "{part:?}");
        }
    }

    /// Head and body of one request, which is told that all is well.
    fn received(listener: &TcpListener) -> (String, Vec<u8>) {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..read]);
            let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            if request.len() - end - 4 == length {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                return (head, request.split_off(end + 4));
            }
        }
    }

    #[test]
    fn what_is_no_traceparent_links_nothing() {
        assert!(context(PARENT.as_bytes()).is_some());
        assert!(
            context(b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later").is_some()
        );
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",
        ] {
            assert_eq!(context(text.as_bytes()), None, "{text}");
        }
    }
}
