//! Where events wait for the end of their transaction.

use std::mem;

use sqlx::PgConnection;

use crate::coalesce::StagedEvents;
use crate::depth::depth;
use crate::derived::Derived;
use crate::draft::Draft;
use crate::read::Readable;
use crate::settle::settle;
use crate::topology::Topology;
use crate::trace_context::Tracing;
use crate::write::write;
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
    staged: Staged,
    when_dropped: WhenDropped,
    pub(crate) tracing: Tracing,
    /// How many scopes that enqueue nothing are open; one more if the outbox is off.
    pub(crate) suppressions: usize,
}

/// What a stage holds.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) events: StagedEvents,
    pub(crate) derived: Derived,
}

impl Staged {
    /// Reads what was left for the end of the transaction, and writes the rows. Says how many.
    pub(crate) async fn write(
        mut self,
        topology: &Topology,
        conn: &mut PgConnection,
    ) -> Result<usize, Error> {
        settle(topology, &mut self.events, self.derived, conn).await?;
        write(topology, &self.events, conn).await?;
        Ok(self.events.len())
    }

    fn is_empty(&self) -> bool {
        self.events.len() == 0 && self.derived.is_empty()
    }
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
        let suppressions = usize::from(!outbox.options().is_enabled());
        Self {
            outbox,
            staged: Staged::default(),
            when_dropped,
            tracing: Tracing::default(),
            suppressions,
        }
    }

    /// The stage of a savepoint: suppressed if this one is, and with its trace context.
    pub(crate) fn nested(&self) -> Self {
        Self {
            outbox: self.outbox.clone(),
            staged: Staged::default(),
            when_dropped: self.when_dropped,
            tracing: self.tracing.clone(),
            suppressions: self.suppressions,
        }
    }

    /// Stages `created` of an instance; see [`OutboxTransaction::created`](crate::OutboxTransaction::created).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn created<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.draft(|draft| draft.created(instance))
    }

    /// Stages `updated` of an instance; see [`OutboxTransaction::updated`](crate::OutboxTransaction::updated).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn updated<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.draft(|draft| draft.updated(instance))
    }

    /// Stages `destroyed` of an instance; see [`OutboxTransaction::destroyed`](crate::OutboxTransaction::destroyed).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn destroyed<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.draft(|draft| draft.destroyed(instance))
    }

    /// Stages what two states of an instance come to; see [`OutboxTransaction::changed`](crate::OutboxTransaction::changed).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn changed<M: Publishable + 'static>(
        &mut self,
        before: Option<&M>,
        after: Option<&M>,
    ) -> Result<(), Error> {
        self.draft(|draft| draft.changed(before, after))
    }

    /// Stages `created` of an instance by its id; see [`OutboxTransaction::created_by_id`](crate::OutboxTransaction::created_by_id).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    #[expect(clippy::needless_pass_by_value, reason = "`updated_by_id::<M>(1)` reads best")]
    pub fn created_by_id<M: Readable>(&mut self, id: impl ToString) -> Result<(), Error> {
        self.draft(|draft| draft.created_by_id::<M>(&id.to_string()))
    }

    /// Stages `updated` of an instance by its id; see [`OutboxTransaction::updated_by_id`](crate::OutboxTransaction::updated_by_id).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    #[expect(clippy::needless_pass_by_value, reason = "`updated_by_id::<M>(1)` reads best")]
    pub fn updated_by_id<M: Readable>(&mut self, id: impl ToString) -> Result<(), Error> {
        self.draft(|draft| draft.updated_by_id::<M>(&id.to_string()))
    }

    /// Stages a tombstone; see [`OutboxTransaction::tombstone`](crate::OutboxTransaction::tombstone).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn tombstone<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.draft(|draft| draft.tombstone(instance))
    }

    /// Stages a tombstone of a key; see [`OutboxTransaction::tombstone_of_key`](crate::OutboxTransaction::tombstone_of_key).
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn tombstone_of_key(
        &mut self,
        topic: &str,
        key: &str,
        partition_key: Option<&str>,
    ) -> Result<(), Error> {
        self.draft(|draft| draft.tombstone_of_key(topic, key, partition_key))
    }

    /// How many rows are known to be written. Roots and dependants that are read at the end come on top.
    pub fn len(&self) -> usize {
        self.staged.events.len()
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// Writes the events inside the connection's transaction, in one statement (one for each 64 MiB); without events, none. Aggregates, dependants and
    /// instances staged by id are locked and read before.
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
        let staged = self.take();
        if depth(conn) == 0 {
            return Err(Error::NoTransaction);
        }
        staged.write(self.outbox.topology(), conn).await?;
        Ok(())
    }

    /// Forgets the events, because their changes are rolled back.
    pub fn discard(mut self) {
        drop(self.take());
    }

    /// Stages what a call drafts, all or none; in a suppressed scope nothing, and then nothing is looked at either.
    pub(crate) fn draft(
        &mut self,
        call: impl FnOnce(&mut Draft<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.suppressions > 0 {
            return Ok(());
        }
        let headers = self.tracing.headers(self.outbox.options());
        let mut draft = Draft::new(self.outbox.topology(), headers);
        call(&mut draft)?;
        let (events, derived) = draft.into_parts();
        self.staged.events.reserve(events.len());
        for event in events {
            self.staged.events.record(event);
        }
        self.staged.derived.absorb(derived);
        Ok(())
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Hands the events over: the stage is then settled.
    pub(crate) fn take(&mut self) -> Staged {
        mem::take(&mut self.staged)
    }

    pub(crate) fn absorb(&mut self, later: Staged) {
        self.staged.events.absorb(later.events);
        self.staged.derived.absorb(later.derived);
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
