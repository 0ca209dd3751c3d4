//! Which rows are not handed over but kept back; see `quarantine.rs`.

use dionysus_postgres::window::OutboxRow;
use tokio::time::Instant;

use super::Pump;
use crate::Error;
use crate::error::Chain;
use crate::lane::Lane;
use crate::message::HandOverError;
use crate::quarantine::Aside;

/// What becomes of a row that can't go the usual way.
pub(super) enum Kept {
    Aside,
    /// The lane waits at this row.
    Stopped,
}

impl Pump {
    /// Whether a row must be kept back before anybody tries it: a broker has refused it alone, or its key is held.
    pub(super) fn must_keep(lane: &Lane, row: &OutboxRow) -> Result<bool, Error> {
        Ok(lane.kept.refusal(row.seq()).is_some() || lane.kept.holds(row.key()?))
    }

    /// Keeps a row back, if there is room; else the lane waits at it.
    pub(super) fn set_aside(
        lane: &mut Lane,
        row: &OutboxRow,
        cause: Option<String>,
        max: u64,
        next_request: u64,
    ) -> Result<Kept, Error> {
        if lane.kept.rows() >= max {
            let full = Error::QuarantineFull { topic: lane.topic.clone(), rows: max };
            stop_lane(lane, row.seq(), &full, full.remedy().as_deref(), next_request);
            return Ok(Kept::Stopped);
        }
        if let Some(cause) = &cause {
            lane.meters.refused.increment(1);
            tracing::error!(
                topic = lane.topic,
                seq = row.seq(),
                cause,
                remedy = "see `dionysus quarantine list`; later rows of its key wait behind it, all others flow",
                "row refused, set aside"
            );
        }
        let after = Some(lane.handed);
        let (seq, key, created_at) = (row.seq(), row.key()?.to_owned(), row.created_at()?);
        lane.kept.set_aside(Aside { seq, key, created_at, cause, after });
        lane.in_flight.pass(lane.slots, seq);
        lane.handed += 1;
        lane.handed_seq = seq;
        Ok(Kept::Aside)
    }

    /// What a refusal at hand-over comes to: the row alone, or its whole lane.
    pub(super) fn refused(
        lane: &mut Lane,
        row: &OutboxRow,
        error: &HandOverError,
        max: u64,
        next_request: u64,
    ) -> Result<Kept, Error> {
        if let Some(cause) = cause_of_row(error) {
            return Self::set_aside(lane, row, Some(cause), max, next_request);
        }
        match error {
            HandOverError::Publish(error) => {
                stop_lane(lane, row.seq(), error, error.remedy().as_deref(), next_request);
            }
            HandOverError::Capture(error) => {
                stop_lane(lane, row.seq(), error, error.remedy().as_deref(), next_request);
            }
            HandOverError::Row(_) => {}
        }
        Ok(Kept::Stopped)
    }
}

/// What lies with the row itself, if it does.
pub(super) fn cause_of_row(error: &HandOverError) -> Option<String> {
    use dionysus_kafka::PublishError::TooLarge;
    match error {
        HandOverError::Publish(error @ TooLarge { .. }) => Some(Chain(error).to_string()),
        HandOverError::Capture(error) => Some(Chain(error).to_string()),
        HandOverError::Publish(_) | HandOverError::Row(_) => None,
    }
}

/// The row stays where it is and its lane waits: nothing is lost, nothing overtakes it, other lanes flow.
fn stop_lane(
    lane: &mut Lane,
    seq: i64,
    error: &dyn std::error::Error,
    remedy: Option<&str>,
    next_request: u64,
) {
    let wait = lane.block(Instant::now(), next_request, error);
    lane.meters.refused.increment(1);
    tracing::error!(
        topic = lane.topic,
        seq,
        error = %Chain(error),
        remedy,
        retry_ms = wait.as_millis(),
        "row refused, lane stopped"
    );
}
