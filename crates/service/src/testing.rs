//! For the tests of the components; no interface.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// Name to kind and labels.
type Metrics = BTreeMap<String, (String, String)>;

/// The page of metrics names, under the heading `program`, those that `register` describes and makes, and no other.
///
/// # Panics
/// If it does not, or if one is not described.
pub fn assert_metrics_page(program: &str, register: impl FnOnce()) {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, register);
    let mut registered = Metrics::new();
    for (key, _, description, value) in recorder.snapshotter().snapshot().into_vec() {
        let key = key.key();
        assert!(description.is_some(), "{} is not described", key.name());
        let kind = match value {
            DebugValue::Counter(_) => "counter",
            DebugValue::Gauge(_) => "gauge",
            DebugValue::Histogram(_) => "histogram",
        };
        let labels: Vec<&str> = key.labels().map(|label| label.key()).collect();
        registered.insert(key.name().to_owned(), (kind.to_owned(), labels.join(", ")));
    }
    assert_eq!(documented(program), registered);
}

fn documented(program: &str) -> Metrics {
    let page = include_str!("../../../docs/reference/metrics.md");
    let heading = format!("## `{program}`");
    page.lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let name = cells[1].trim_matches('`').to_owned();
            (name, (cells[2].to_owned(), cells[3].replace('`', "")))
        })
        .collect()
}
