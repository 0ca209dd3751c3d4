//! Traces by OTLP: feature `otel`, switched on by the standard variables.
//!
//! A message is published and applied in batches, long after the request that wrote it has ended. So spans of batches are not children of
//! the producer's: they are *linked* to it, by the `traceparent` that travels with each message. A component makes its spans with
//! `target: TRACES`, at level debug: where nobody traces they are disabled, cost a comparison, and never stand in a log line.

use tracing::Span;

#[cfg(feature = "otel")]
mod otlp;
#[cfg(feature = "otel")]
pub(crate) use otlp::Layered;

/// The target of spans that are sent as traces.
pub const TRACES: &str = "dionysus::traces";

/// Without the feature there is nothing to add to the log.
#[cfg(not(feature = "otel"))]
pub(crate) type Layered = tracing_subscriber::layer::Identity;

/// Where traces of this process go. Dropping it sends what waits.
///
/// They go by OTLP over HTTP when one of these is set: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or
/// `OTEL_TRACES_EXPORTER=otlp` (then to `http://localhost:4318`); and nowhere with `OTEL_SDK_DISABLED=true` or
/// `OTEL_TRACES_EXPORTER=none`. The other variables of the standard (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
/// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`) have their meaning.
#[derive(Debug, Default)]
pub struct Traces {
    /// Somebody asked for traces, whether we can send them or not.
    wanted: bool,
    #[cfg(feature = "otel")]
    provider: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Traces {
    #[cfg(not(feature = "otel"))]
    #[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
    pub(crate) fn of_environment(
        _service: &'static str,
    ) -> Result<(Self, Option<Layered>), crate::Report> {
        Ok((Self { wanted: is_wanted(variable) }, None))
    }

    /// A variable that does nothing must not look as if it did.
    pub(crate) fn say_if_missing(&self) {
        if self.wanted && cfg!(not(feature = "otel")) {
            tracing::warn!(
                "traces are asked for, but this program was built without the feature `otel`"
            );
        }
    }
}

/// Links a span to the trace that a message came from. `traceparent` is the header's value; one that is not well formed, or says
/// that nobody records, links nothing. At most 32 links of a span are worth their bytes: the caller keeps count.
pub fn link(span: &Span, traceparent: &[u8]) {
    #[cfg(feature = "otel")]
    otlp::link(span, traceparent);
    #[cfg(not(feature = "otel"))]
    let (_, _) = (span, traceparent);
}

#[expect(clippy::disallowed_methods, reason = "these are the standard's settings, not ours")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the standard variables say.
fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return false;
    }
    match set("OTEL_TRACES_EXPORTER").as_deref() {
        Some("none") => false,
        Some("otlp") => true,
        _ => ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
            .iter()
            .any(|name| set(name).is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_variables_switch_traces_on_and_off() {
        let wanted = |variables: &[(&str, &str)]| {
            is_wanted(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned())
            })
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert!(!wanted(&[]));
        assert!(!wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]));
        assert!(wanted(&[endpoint]));
        assert!(wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/v1/traces")]));
        assert!(wanted(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(!wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!wanted(&[endpoint, ("OTEL_SDK_DISABLED", "true")]));
    }
}
