//! From a stage to the table.

use dionysus_postgres::outbox::{self, NewRow};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Error;
use crate::coalesce::StagedEvents;
use crate::staged::{Shown, StagedEvent};
use crate::topology::Topology;

/// Bytes of snapshots in one statement, so that a stage of any size needs this much twice and no more: once encoded, once in the
/// connection's buffer. Postgres takes a statement of 1 GiB.
const STATEMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Appends the rows of events, in order, in one statement; in several if they hold more than [`STATEMENT_BYTES_MAX`].
pub(crate) async fn write(
    topology: &Topology,
    events: &StagedEvents,
    conn: &mut PgConnection,
) -> Result<(), Error> {
    let events: Vec<&StagedEvent> = events.iter().collect();
    let mut rest = events.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(prefix(rest, STATEMENT_BYTES_MAX));
        append(topology, now, conn).await?;
        rest = later;
    }
    Ok(())
}

/// How many events, at least one, fit into a statement.
fn prefix(events: &[&StagedEvent], bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take_while(|event| {
        bytes += event.data.as_ref().map_or(0, |data| data.len());
        bytes <= bytes_max
    });
    fit.count().max(1)
}

async fn append(
    topology: &Topology,
    events: &[&StagedEvent],
    conn: &mut PgConnection,
) -> Result<(), Error> {
    // All messages in one buffer; `ends` says where each ends.
    let (mut messages, mut ends) = (Vec::new(), Vec::with_capacity(events.len()));
    for event in events {
        if let (Shown::Yes, Some(data)) = (event.shown, &event.data) {
            let (_, model) = topology.at(event.place);
            model.write_message(event.kind, event.as_base, data, &mut messages);
        }
        ends.push(messages.len());
    }
    let mut rows: Vec<NewRow<'_>> = Vec::with_capacity(events.len());
    let mut start = 0;
    for (event, end) in events.iter().zip(ends) {
        if end > start {
            rows.push(row(topology, event, Some(&messages[start..end])));
        }
        if event.tombstone {
            rows.push(row(topology, event, None));
        }
        start = end;
    }
    outbox::append(conn, &rows).await?;
    Ok(())
}

/// Without a payload, a tombstone.
fn row<'a>(
    topology: &'a Topology,
    event: &'a StagedEvent,
    payload: Option<&'a [u8]>,
) -> NewRow<'a> {
    let (topic, model) = topology.at(event.place);
    NewRow {
        event_id: Uuid::now_v7(),
        topic: topic.name().as_str(),
        key: &event.key,
        partition_key: event.partition_key.as_deref(),
        event: model.event_name(event.kind),
        model: model.name_of(event.as_base).as_str(),
        model_id: event.id(),
        payload,
        headers: event.headers.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use dionysus_core::EventKind;

    use super::*;
    use crate::topology::Place;

    #[test]
    fn a_statement_takes_what_fits_and_at_least_one_event() {
        let event = StagedEvent {
            place: Place { topic: 0, model: 0 },
            kind: EventKind::Created,
            shown: Shown::Yes,
            tombstone: false,
            as_base: false,
            visible: true,
            key: "Rental:1".into(),
            id_at: 7,
            partition_key: None,
            headers: None,
            data: Some([0_u8; 10].as_slice().into()),
        };
        let events = [&event; 5];
        for (bytes_max, fit) in [(0, 1), (9, 1), (10, 1), (29, 2), (30, 3), (1_000, 5)] {
            assert_eq!(prefix(&events, bytes_max), fit, "{bytes_max}");
        }
    }
}
