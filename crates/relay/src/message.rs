//! A row as a Kafka message: the gem's bytes as value, everything we add in headers.
//!
//! The bytes of most rows were made when they were enqueued and go on as they are. A row that a trigger wrote holds texts, of which the bytes
//! are made here, once for the topic and its twin; a row with neither is a tombstone, whose value is null.

use std::fmt::Write as _;

use chrono::{DateTime, Timelike, Utc};
use dionysus_core::{CaptureError, encode_captured, headers};
use dionysus_kafka::{OutgoingMessage, PublishError};
use dionysus_postgres::Error;
use dionysus_postgres::quarantine::Due;
use dionysus_postgres::window::OutboxRow;
use uuid::Uuid;

/// Renders rows. Keeps its buffers from row to row.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    version: String,
    event_id: String,
    snapshot_time: String,
    /// The second that `snapshot_time` shows already; rows come in order of time, mostly.
    second: i64,
    /// The message of a captured row, and which row's it is.
    captured: Vec<u8>,
    captured_seq: Option<i64>,
}

/// Why a row could not be handed over.
#[derive(Debug)]
pub(crate) enum HandOverError {
    Row(Error),
    Capture(CaptureError),
    Publish(PublishError),
}

/// What a message is made of, in the outbox or in quarantine.
pub(crate) trait Row {
    fn seq(&self) -> i64;
    fn event_id(&self) -> Result<Uuid, Error>;
    fn created_at(&self) -> Result<DateTime<Utc>, Error>;
    fn key(&self) -> Result<&str, Error>;
    fn partition_key(&self) -> Result<Option<&str>, Error>;
    fn payload(&self) -> Result<Option<&[u8]>, Error>;
    fn headers(&self) -> Result<Option<serde_json::Value>, Error>;
    fn capture(&self) -> Result<Option<&str>, Error>;
}

impl Row for OutboxRow {
    fn seq(&self) -> i64 {
        self.seq()
    }
    fn event_id(&self) -> Result<Uuid, Error> {
        self.event_id()
    }
    fn created_at(&self) -> Result<DateTime<Utc>, Error> {
        self.created_at()
    }
    fn key(&self) -> Result<&str, Error> {
        self.key()
    }
    fn partition_key(&self) -> Result<Option<&str>, Error> {
        self.partition_key()
    }
    fn payload(&self) -> Result<Option<&[u8]>, Error> {
        self.payload()
    }
    fn headers(&self) -> Result<Option<serde_json::Value>, Error> {
        self.headers()
    }
    fn capture(&self) -> Result<Option<&str>, Error> {
        self.capture()
    }
}

impl Row for Due {
    fn seq(&self) -> i64 {
        self.seq
    }
    fn event_id(&self) -> Result<Uuid, Error> {
        Ok(self.event_id)
    }
    fn created_at(&self) -> Result<DateTime<Utc>, Error> {
        Ok(self.created_at)
    }
    fn key(&self) -> Result<&str, Error> {
        Ok(&self.key)
    }
    fn partition_key(&self) -> Result<Option<&str>, Error> {
        Ok(self.partition_key.as_deref())
    }
    fn payload(&self) -> Result<Option<&[u8]>, Error> {
        Ok(self.payload.as_deref())
    }
    fn headers(&self) -> Result<Option<serde_json::Value>, Error> {
        Ok(self.headers.clone())
    }
    fn capture(&self) -> Result<Option<&str>, Error> {
        Ok(self.capture.as_deref())
    }
}

impl Renderer {
    /// Renders `row` for `topic` and calls `publish` with the message.
    pub(crate) fn with_message(
        &mut self,
        row: &impl Row,
        topic: &str,
        publish: impl FnOnce(&OutgoingMessage<'_>) -> Result<(), PublishError>,
    ) -> Result<(), HandOverError> {
        let at = HandOverError::Row;
        let is_captured = self.encode_captured(row)?;
        self.version.clear();
        self.event_id.clear();
        // Writing to a String can't fail.
        write!(self.version, "{}", row.seq()).ok();
        write!(self.event_id, "{}", row.event_id().map_err(at)?.as_hyphenated()).ok();
        self.stamp(row.created_at().map_err(at)?);
        let ours: [(&str, &[u8]); 3] = [
            (headers::VERSION, self.version.as_bytes()),
            (headers::EVENT_ID, self.event_id.as_bytes()),
            (headers::SNAPSHOT_TIME, self.snapshot_time.as_bytes()),
        ];
        let extra = row.headers().map_err(at)?;
        let with_extra;
        let headers: &[(&str, &[u8])] = match &extra {
            Some(serde_json::Value::Object(fields)) => {
                with_extra = ours.into_iter().chain(texts(fields)).collect::<Vec<_>>();
                &with_extra
            }
            _ => &ours,
        };
        let payload =
            if is_captured { Some(self.captured.as_slice()) } else { row.payload().map_err(at)? };
        publish(&OutgoingMessage {
            topic,
            partition_key: row.partition_key().map_err(at)?,
            key: row.key().map_err(at)?.as_bytes(),
            payload,
            headers,
        })
        .map_err(HandOverError::Publish)
    }

    /// Whether the row is a captured one; its message is then made. The next topic of the same row finds it there.
    fn encode_captured(&mut self, row: &impl Row) -> Result<bool, HandOverError> {
        let Some(capture) = row.capture().map_err(HandOverError::Row)? else {
            return Ok(false);
        };
        if self.captured_seq != Some(row.seq()) {
            self.captured_seq = None;
            encode_captured(capture, &mut self.captured).map_err(HandOverError::Capture)?;
            self.captured_seq = Some(row.seq());
        }
        Ok(true)
    }

    /// RFC 3339 with microseconds; the part up to the second is kept while the second lasts.
    fn stamp(&mut self, at: DateTime<Utc>) {
        let second = at.timestamp();
        if second != self.second || self.snapshot_time.is_empty() {
            self.snapshot_time = at.format("%Y-%m-%dT%H:%M:%S").to_string();
            self.second = second;
        } else {
            self.snapshot_time.truncate(19);
        }
        write!(self.snapshot_time, ".{:06}Z", at.nanosecond() / 1_000).ok();
    }
}

/// The row's own headers; values that are not texts were refused at enqueue and are left out here.
fn texts(
    fields: &serde_json::Map<String, serde_json::Value>,
) -> impl Iterator<Item = (&str, &[u8])> {
    fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_time_has_six_digits_and_follows_the_clock() {
        let mut renderer = Renderer::default();
        for (micros, text) in [
            (1_700_000_000_000_001, "2023-11-14T22:13:20.000001Z"),
            (1_700_000_000_999_999, "2023-11-14T22:13:20.999999Z"),
            (1_700_000_001_000_000, "2023-11-14T22:13:21.000000Z"),
            (1_700_000_000_500_000, "2023-11-14T22:13:20.500000Z"),
        ] {
            renderer.stamp(DateTime::from_timestamp_micros(micros).unwrap());
            assert_eq!(renderer.snapshot_time, text);
        }
    }
}
