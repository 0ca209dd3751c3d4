//! The recorder behind the metrics of a process. Names and meanings are the components' own (`docs/reference/metrics.md`).

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{Exit, Report};

/// Upper bounds of times, in seconds: from a good commit-to-acknowledgement to an outage.
const SECONDS: [f64; 17] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0,
    1_800.0,
];

/// Upper bounds of counts: sizes of batches.
const COUNTS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 10_000.0];

/// Installs the recorder of this process, once; later calls return the same.
pub(crate) fn install() -> Result<PrometheusHandle, Report> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let failed = |error| Report::new(Exit::Failure, "metrics can't be recorded").caused_by(error);
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets(&COUNTS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(failed)?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}
