//! Where events wait for the end of their transaction.

use std::mem;

use dionysus_core::{EventKind, encode_message};
use dionysus_postgres::outbox::{self, NewRow};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::coalesce::StagedEvents;
use crate::depth::depth;
use crate::staged::StagedEvent;
use crate::topology::Topology;
use crate::{Error, Outbox, Publishable};

/// Events for a transaction that the application holds itself.
///
/// Made by [`Outbox::stage`]; written by [`write`](Self::write), as the last statement before the application's commit. Prefer
/// [`Outbox::begin`] or [`Outbox::begin_on`] where you can: a stage does not see the connection between the two calls, so it can't
/// refuse an event whose change is rolled back with a savepoint. With savepoints, make one stage for each and write it before
/// the savepoint is released: the rows then share its fate.
///
/// Dropped with events in it, it is logged as an error, for the changes may be committed without them; see
/// [`OutboxOptions::panic_on_dropped_stage`](crate::OutboxOptions::panic_on_dropped_stage).
#[derive(Debug)]
#[must_use = "events are only published if the stage is written"]
pub struct Stage {
    outbox: Outbox,
    events: StagedEvents,
    when_dropped: WhenDropped,
}

/// What becomes of the changes when a stage is dropped with events in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WhenDropped {
    /// They may be committed without their events.
    EventsAreLost,
    /// They are rolled back with their events.
    AllIsRolledBack,
}

impl Stage {
    pub(crate) fn new(outbox: Outbox, when_dropped: WhenDropped) -> Self {
        Self { outbox, events: StagedEvents::default(), when_dropped }
    }

    /// Stages `created` of an instance; see [`OutboxTransaction::created`](crate::OutboxTransaction::created).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn created<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.record(EventKind::Created, instance)
    }

    /// Stages `updated` of an instance; see [`OutboxTransaction::updated`](crate::OutboxTransaction::updated).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn updated<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.record(EventKind::Updated, instance)
    }

    /// Stages `destroyed` of an instance; see [`OutboxTransaction::destroyed`](crate::OutboxTransaction::destroyed).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn destroyed<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.record(EventKind::Destroyed, instance)
    }

    /// How many rows the stage will write.
    pub fn len(&self) -> usize {
        self.events.as_slice().len()
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the events inside the connection's transaction, in one statement; without events, none.
    ///
    /// After your commit call [`Outbox::wake_up`], or the rows wait for the relay's next poll.
    ///
    /// # Errors
    /// [`Error::NoTransaction`] if sqlx did not begin one on this connection; [`Error::Postgres`] if the statement failed, and with it the
    /// transaction. The events are gone in both cases.
    ///
    /// # Cancel safety
    /// Not cancel safe: the connection is left amid a statement.
    pub async fn write(mut self, conn: &mut PgConnection) -> Result<(), Error> {
        let events = self.take();
        if depth(conn) == 0 {
            return Err(Error::NoTransaction);
        }
        write(self.outbox.topology(), &events, conn).await
    }

    /// Forgets the events, because their changes are rolled back.
    pub fn discard(mut self) {
        drop(self.take());
    }

    pub(crate) fn record<M: Publishable + 'static>(
        &mut self,
        kind: EventKind,
        instance: &M,
    ) -> Result<(), Error> {
        for event in StagedEvent::of(self.outbox.topology(), kind, instance)? {
            self.events.record(event);
        }
        Ok(())
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Hands the events over: the stage is then settled.
    pub(crate) fn take(&mut self) -> StagedEvents {
        mem::take(&mut self.events)
    }

    pub(crate) fn absorb(&mut self, later: StagedEvents) {
        self.events.absorb(later);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let events = self.len();
        match self.when_dropped {
            WhenDropped::EventsAreLost => {
                tracing::error!(
                    events,
                    "stage dropped with events, changes may be committed without them"
                );
            }
            WhenDropped::AllIsRolledBack => {
                tracing::warn!(events, "transaction dropped with staged events, rolling back");
            }
        }
        assert!(
            std::thread::panicking() || !self.outbox.options().panics_on_dropped_stage(),
            "a stage with {events} events was dropped without commit or roll-back"
        );
    }
}

/// Appends the rows of events, in one statement.
pub(crate) async fn write(
    topology: &Topology,
    events: &StagedEvents,
    conn: &mut PgConnection,
) -> Result<(), Error> {
    let messages: Vec<(String, Vec<u8>)> =
        events.as_slice().iter().map(|event| message(topology, event)).collect();
    let rows: Vec<NewRow<'_>> = events
        .as_slice()
        .iter()
        .zip(&messages)
        .map(|(event, (name, payload))| {
            let (topic, model) = topology.at(event.place);
            NewRow {
                event_id: Uuid::now_v7(),
                topic: topic.name().as_str(),
                key: &event.key,
                partition_key: event.partition_key.as_deref(),
                event: name,
                model: model.name().as_str(),
                model_id: &event.id,
                payload,
                headers: None,
            }
        })
        .collect();
    outbox::append(conn, &rows).await?;
    Ok(())
}

/// The event's name, and the bytes to publish.
fn message(topology: &Topology, event: &StagedEvent) -> (String, Vec<u8>) {
    let (_, model) = topology.at(event.place);
    let name = model.name().event(event.kind);
    let payload = encode_message(&name, model.name().as_str(), &event.data);
    (name, payload)
}
