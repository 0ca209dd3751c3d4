//! A scope that enqueues nothing.
//!
//! Decided at enqueue: no row is written, so nothing can be taken for published that never was. (The gem suppresses at publication and
//! marks the rows as published: W10.)

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::OutboxTransaction;

/// A part of a transaction whose changes are not published; made by [`OutboxTransaction::suppressed`], ended by being dropped.
///
/// It stands for the transaction: functions that take `&mut OutboxTransaction<'_>` take `&mut scope` too, whatever they stage.
#[must_use = "the scope ends when it is dropped"]
pub struct Suppressed<'t, 'c> {
    tx: &'t mut OutboxTransaction<'c>,
}

impl<'c> OutboxTransaction<'c> {
    /// Opens a scope that enqueues nothing, for changes that consumers are not to hear of: an import that a genesis run will
    /// publish, a column that is filled in. Statements run as ever and commit with the transaction.
    ///
    /// In the scope each staging call returns at once, without looking at its instance. Savepoints opened in it are suppressed
    /// too; scopes nest, and the outermost counts. What was staged before stays staged, with the snapshot of then.
    ///
    /// # Examples
    /// ```no_run
    /// # mod app {
    /// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub account_id: i64 }
    /// # }
    /// # use app::Rental;
    /// use dionysus_producer::{Outbox, OutboxTransaction};
    ///
    /// async fn create(tx: &mut OutboxTransaction<'_>) -> Result<(), Box<dyn std::error::Error>> {
    ///     let rental: Rental = sqlx::query_as("insert into rentals (account_id) values (7) returning *")
    ///         .fetch_one(&mut **tx)
    ///         .await?;
    ///     tx.created(&rental)?;
    ///     Ok(())
    /// }
    ///
    /// # async fn example(outbox: Outbox) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = outbox.begin().await?;
    /// create(&mut tx).await?; // published
    /// {
    ///     let mut scope = tx.suppressed();
    ///     create(&mut scope).await?; // not published
    /// }
    /// create(&mut tx).await?; // published
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn suppressed(&mut self) -> Suppressed<'_, 'c> {
        self.stage_mut().suppressions += 1;
        Suppressed { tx: self }
    }
}

impl<'c> Deref for Suppressed<'_, 'c> {
    type Target = OutboxTransaction<'c>;

    fn deref(&self) -> &OutboxTransaction<'c> {
        self.tx
    }
}

impl<'c> DerefMut for Suppressed<'_, 'c> {
    fn deref_mut(&mut self) -> &mut OutboxTransaction<'c> {
        self.tx
    }
}

impl Drop for Suppressed<'_, '_> {
    fn drop(&mut self) {
        self.tx.stage_mut().suppressions -= 1;
    }
}

impl fmt::Debug for Suppressed<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suppressed").field("tx", &self.tx).finish()
    }
}
