//! A transaction that records events.
//!
//! # Why a stage
//! Events are collected in memory and written as the very last statement. So a transaction writes one statement however many
//! instances it changes, several changes of one instance give one message, and a roll-back, of all or of a savepoint, leaves nothing
//! behind. (The gem keeps its list in a thread-local that survives roll-backs: W9.)
//!
//! # Why order per key holds
//! The rows are inserted after the statement that changed, and so locked, the instance's row. Of two transactions on one instance
//! the second gets the lock after the first has committed, so it draws the higher number. This is why an instance must come
//! from a statement of this transaction that locked its row: one that was read before would carry the number of a later change
//! without containing it. Above READ COMMITTED it holds as well: there Postgres refuses the second change itself (40001).

use std::ops::{Deref, DerefMut};

use sqlx::postgres::PgTransaction;
use sqlx::{Connection as _, PgConnection};

use crate::depth::{depth, unwind};
use crate::read::Readable;
use crate::stage::{Stage, WhenDropped};
use crate::{Error, Outbox, Publishable};

/// A transaction, or a savepoint in one, whose changes are published when it commits.
///
/// Run statements on `&mut *tx`, as with a transaction of sqlx; pass `&mut OutboxTransaction<'_>` to functions that change
/// things, at whatever depth.
///
/// Dropped, it is rolled back, and its events with it. With events staged that is logged as a warning; see
/// [`OutboxOptions::panic_on_dropped_stage`](crate::OutboxOptions::panic_on_dropped_stage).
///
/// Raw `savepoint`, `rollback to`, `commit` statements are not supported: events can't follow them. sqlx's own nested
/// transactions (`tx.begin()`) may change things, but what they change can only be staged after they ended.
///
/// # Aggregates and observers
/// A model with parts ([`TopicBuilder::with`](crate::TopicBuilder::with)) is read when the transaction commits, with all its parts, under a lock on its row; so is whoever observes a
/// model that changed. State changes of a part or an observed model as those of any other: what follows from them is found out. They need READ COMMITTED, Postgres's
/// default, and are refused above it. A transaction that changes a part and then waits for the root can meet one that does it the other way round: lock the
/// root first where both happen, or try again after a deadlock (40P01).
///
/// # Examples
/// ```no_run
/// # mod app {
/// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
/// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
/// # pub struct Rental { pub id: i64, pub account_id: i64, pub name: String }
/// # }
/// # use app::Rental;
/// # async fn rename(outbox: dionysus_producer::Outbox, id: i64) -> Result<(), Box<dyn std::error::Error>> {
/// let mut tx = outbox.begin().await?;
/// let rental: Rental = sqlx::query_as("update rentals set name = $2 where id = $1 returning *")
///     .bind(id)
///     .bind("Villa Saganaki")
///     .fetch_one(&mut *tx)
///     .await?;
/// tx.updated(&rental)?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a transaction that is not committed is rolled back"]
pub struct OutboxTransaction<'c> {
    tx: PgTransaction<'c>,
    stage: Stage,
    depth: usize,
    /// Where the events of a savepoint go.
    parent: Option<&'c mut Stage>,
}

impl<'c> OutboxTransaction<'c> {
    pub(crate) fn new(outbox: &Outbox, tx: PgTransaction<'c>) -> Self {
        let stage = Stage::new(outbox.clone(), WhenDropped::AllIsRolledBack);
        Self { depth: depth(&tx), tx, stage, parent: None }
    }

    /// Stages `created`: the instance is new, or visible again after a soft delete.
    ///
    /// The snapshot is taken now: later changes of the struct don't reach it. The instance must come from a statement of this
    /// transaction that locked its row (`returning *`, `for update`).
    ///
    /// # Errors
    /// [`Error::ModelNotPublished`], [`Error::TooLarge`], [`Error::Snapshot`], [`Error::EmptyId`], [`Error::KeyTooLong`], [`Error::Nul`],
    /// [`Error::EmptyPartitionKey`], [`Error::PartitionKeyNotInteger`] or [`Error::OtherDepth`]. Nothing is staged then, for no topic, and
    /// the transaction can go on.
    pub fn created<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.staging()?.created(instance)
    }

    /// Stages `updated`: the instance changed. You decide that it did: an update that changed nothing is published like any other;
    /// [`changed`](Self::changed) compares.
    ///
    /// As for [`created`](Self::created), the snapshot is taken now, and the instance must come from a statement of this transaction that
    /// locked its row.
    ///
    /// # Errors
    /// As for [`created`](Self::created).
    pub fn updated<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.staging()?.updated(instance)
    }

    /// Stages `destroyed`: the instance is gone (`delete .. returning *`) or soft-deleted (`update .. returning *`). With its soft-delete column set it is
    /// published whole, else by its id alone. For a row that was soft-deleted earlier and is now gone too, state
    /// `changed(Some(&row), None)`: by its id alone.
    ///
    /// # Errors
    /// As for [`created`](Self::created).
    pub fn destroyed<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.staging()?.destroyed(instance)
    }

    /// Stages what two states of an instance come to: the one form that covers all changes.
    ///
    /// | before | after | event |
    /// | --- | --- | --- |
    /// | none | an instance, soft-deleted or not | `created` |
    /// | visible | visible, changed | `updated` |
    /// | visible | soft-deleted | `destroyed`, with the whole snapshot |
    /// | soft-deleted | soft-deleted at another time | `destroyed`, with the whole snapshot |
    /// | soft-deleted | soft-deleted, changed elsewhere | none; `updated` with [`UPDATES_AFTER_SOFT_DELETE`](Publishable::UPDATES_AFTER_SOFT_DELETE) |
    /// | soft-deleted | visible | `created` |
    /// | any | the same snapshot and partition keys | none |
    /// | any | none | `destroyed`, with the id alone; the partition key is that of before |
    /// | any | another primary key | `destroyed` under the old key, `created` under the new |
    ///
    /// Times count in milliseconds, as they are published. A new `updated_at` alone is a change, if it is an attribute; where it should
    /// not be one (the gem's `touch`), state nothing.
    ///
    /// `before` must be read under the lock (`for update`, or `old` in Postgres 18's `returning`), `after` must come from the statement that changed it: as for
    /// [`created`](Self::created).
    ///
    /// # Errors
    /// As for [`created`](Self::created).
    ///
    /// # Examples
    /// ```no_run
    /// # mod app {
    /// # use chrono::{DateTime, Utc};
    /// # #[derive(Clone, sqlx::FromRow, dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub account_id: i64, pub canceled_at: Option<DateTime<Utc>> }
    /// # }
    /// # use app::Rental;
    /// # async fn cancel(outbox: dionysus_producer::Outbox, id: i64) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = outbox.begin().await?;
    /// let before: Rental = sqlx::query_as("select * from rentals where id = $1 for update")
    ///     .bind(id)
    ///     .fetch_one(&mut *tx)
    ///     .await?;
    /// let after: Rental = sqlx::query_as("update rentals set canceled_at = now() where id = $1 returning *")
    ///     .bind(id)
    ///     .fetch_one(&mut *tx)
    ///     .await?;
    /// tx.changed(Some(&before), Some(&after))?; // destroyed
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn changed<M: Publishable + 'static>(
        &mut self,
        before: Option<&M>,
        after: Option<&M>,
    ) -> Result<(), Error> {
        self.staging()?.changed(before, after)
    }

    /// Stages `created` of an instance that you know by its id: it is read at commit, under its lock, so that the snapshot is that of the end of the
    /// transaction.
    ///
    /// # Errors
    /// [`Error::ModelNotPublished`], [`Error::EmptyId`], [`Error::KeyTooLong`], [`Error::Nul`] or [`Error::OtherDepth`]; the transaction can go on. What else is refused, is
    /// refused by [`commit`](Self::commit).
    pub fn created_by_id<M: Readable>(&mut self, id: impl ToString) -> Result<(), Error> {
        self.staging()?.created_by_id::<M>(id)
    }

    /// Stages `updated` of an instance that you know by its id, which is read at commit, under its lock. No statement of this transaction needs to have
    /// locked it. A part publishes its root, an observed instance its dependants, as if all their attributes had changed.
    ///
    /// # Errors
    /// As for [`created_by_id`](Self::created_by_id).
    ///
    /// # Examples
    /// ```no_run
    /// # mod app {
    /// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub account_id: i64 }
    /// # }
    /// # use app::Rental;
    /// # async fn raise(outbox: dionysus_producer::Outbox) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = outbox.begin().await?;
    /// sqlx::query("update rentals set price = price * 1.1 where id = 1").execute(&mut *tx).await?;
    /// tx.updated_by_id::<Rental>(1)?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn updated_by_id<M: Readable>(&mut self, id: impl ToString) -> Result<(), Error> {
        self.staging()?.updated_by_id::<M>(id)
    }

    /// Stages a tombstone of the instance's key: a message without value, after which compaction forgets the key. It follows whatever event the
    /// transaction has for the instance. A topic writes them by itself with [`tombstones`](crate::TopicBuilder::tombstones).
    ///
    /// # Errors
    /// As for [`created`](Self::created).
    pub fn tombstone<M: Publishable + 'static>(&mut self, instance: &M) -> Result<(), Error> {
        self.staging()?.tombstone(instance)
    }

    /// Stages a tombstone of a key `Model:id` in one topic, for an instance that nobody has any more, or one whose partition key has changed: the tombstone goes
    /// where `partition_key` says, and without one where the key says.
    ///
    /// # Errors
    /// [`Error::KeyNotPublished`], [`Error::EmptyId`], [`Error::KeyTooLong`], [`Error::Nul`] or [`Error::OtherDepth`]; the transaction can go on.
    pub fn tombstone_of_key(
        &mut self,
        topic: &str,
        key: &str,
        partition_key: Option<&str>,
    ) -> Result<(), Error> {
        self.staging()?.tombstone_of_key(topic, key, partition_key)
    }

    /// How many rows are staged at this depth: one for each topic and key. Roots and dependants that are found at commit come on top.
    pub fn staged(&self) -> usize {
        self.stage.len()
    }

    /// Opens a savepoint with a stage of its own: its commit hands the events to this transaction, its roll-back forgets them.
    ///
    /// # Errors
    /// [`Error::OtherDepth`], or [`Error::Transaction`].
    ///
    /// # Cancel safety
    /// Cancel safe: a savepoint that was opened is rolled back.
    ///
    /// # Examples
    /// ```no_run
    /// # mod app {
    /// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub account_id: i64 }
    /// # }
    /// # use app::Rental;
    /// # async fn import(outbox: dionysus_producer::Outbox) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = outbox.begin().await?;
    /// for account in 1_i64..=3 {
    ///     let mut savepoint = tx.savepoint().await?;
    ///     let inserted = sqlx::query_as("insert into rentals (account_id) values ($1) returning *")
    ///         .bind(account)
    ///         .fetch_one(&mut *savepoint)
    ///         .await;
    ///     match inserted {
    ///         Ok(rental) => {
    ///             savepoint.created::<Rental>(&rental)?;
    ///             savepoint.commit().await?;
    ///         }
    ///         Err(_) => savepoint.rollback().await?,
    ///     }
    /// }
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn savepoint(&mut self) -> Result<OutboxTransaction<'_>, Error> {
        self.at_own_depth()?;
        let tx = (*self.tx).begin().await.map_err(Error::during("opening a savepoint"))?;
        Ok(OutboxTransaction {
            depth: self.depth + 1,
            tx,
            stage: self.stage.nested(),
            parent: Some(&mut self.stage),
        })
    }

    /// Reads aggregates, dependants and instances staged by id, writes the events in one statement (one for each 64 MiB), commits, and wakes the relays. A
    /// savepoint hands its events to its parent instead.
    ///
    /// # Errors
    /// [`Error::Postgres`] or [`Error::Transaction`]; for what is read only now also the refusals of [`created`](Self::created) and [`Error::Unreadable`]. All is rolled back, with one exception: if the connection is lost while
    /// the commit is under way, nobody knows its outcome; change and events have the same one.
    /// [`Error::OtherDepth`] if a nested transaction of sqlx was left open; all is rolled back then too.
    ///
    /// # Cancel safety
    /// Not cancel safe: dropped before the commit is sent, all is rolled back; after that, the outcome is unknown to the caller.
    pub async fn commit(mut self) -> Result<(), Error> {
        let staged = self.stage.take();
        if let Err(refusal) = self.at_own_depth() {
            unwind(&mut self.tx, self.depth).await?;
            self.rollback().await?;
            return Err(refusal);
        }
        let Self { mut tx, stage, depth, parent } = self;
        if let Some(parent) = parent {
            tx.commit().await.map_err(Error::during("releasing a savepoint"))?;
            parent.absorb(staged);
            return Ok(());
        }
        let outbox = stage.outbox();
        let rows = staged.write(outbox.topology(), &mut tx).await?;
        tx.commit().await.map_err(Error::during("committing the transaction"))?;
        if depth == 1 && rows > 0 {
            outbox.wake_up();
        }
        Ok(())
    }

    /// Rolls back, and forgets the events.
    ///
    /// # Errors
    /// [`Error::Transaction`] if the connection is lost; the server then rolls back by itself.
    pub async fn rollback(mut self) -> Result<(), Error> {
        drop(self.stage.take());
        self.tx.rollback().await.map_err(Error::during("rolling back the transaction"))
    }

    /// The stage, if a change may be staged now.
    pub(crate) fn staging(&mut self) -> Result<&mut Stage, Error> {
        self.at_own_depth()?;
        Ok(&mut self.stage)
    }

    pub(crate) fn stage_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }

    fn at_own_depth(&self) -> Result<(), Error> {
        let found = depth(&self.tx);
        if found == self.depth {
            Ok(())
        } else {
            Err(Error::OtherDepth { expected: self.depth, found })
        }
    }
}

impl Deref for OutboxTransaction<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for OutboxTransaction<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

impl AsMut<PgConnection> for OutboxTransaction<'_> {
    fn as_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
