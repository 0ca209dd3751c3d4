//! Names of the Kafka headers that travel beside the gem's bytes. All values are text.

/// The [`Version`](crate::Version) of the snapshot, decimal.
pub const VERSION: &str = "dionysus-version";
/// The [`AsOf`](crate::AsOf) of the message, decimal. Absent means 0.
pub const AS_OF: &str = "dionysus-as-of";
/// The row's `event_id`, a UUID in its hyphenated lower-case form.
pub const EVENT_ID: &str = "dionysus-event-id";
/// When the row was written: RFC 3339, UTC, microseconds.
pub const SNAPSHOT_TIME: &str = "dionysus-snapshot-time";
/// W3C trace context, captured when the row was written.
pub const TRACEPARENT: &str = "traceparent";
/// W3C trace context, captured when the row was written.
pub const TRACESTATE: &str = "tracestate";
