//! Thousands of instances in one call.
//!
//! The rows of a transaction are written in one statement however they were staged. A call for many adds that they are staged all or none, that
//! the trace context is looked up once, and that buffers are sized once.

use crate::draft::Draft;
use crate::{Error, OutboxTransaction, Publishable, Stage};

impl OutboxTransaction<'_> {
    /// Stages `created` of each instance, as [`created`](Self::created) does, in the order given.
    ///
    /// # Errors
    /// As for [`created`](Self::created), for the first instance that is refused ([`Error::key`] tells which). None is staged then.
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
    /// let rentals: Vec<Rental> =
    ///     sqlx::query_as("insert into rentals (account_id) select 7 from generate_series(1, 10000) returning *")
    ///         .fetch_all(&mut *tx)
    ///         .await?;
    /// tx.created_all(&rentals)?;
    /// tx.commit().await?; // ten thousand rows, one statement
    /// # Ok(())
    /// # }
    /// ```
    pub fn created_all<'a, M: Publishable + 'static>(
        &mut self,
        instances: impl IntoIterator<Item = &'a M>,
    ) -> Result<(), Error> {
        self.staging()?.created_all(instances)
    }

    /// Stages `updated` of each instance, as [`updated`](Self::updated) does, in the order given.
    ///
    /// # Errors
    /// As for [`created_all`](Self::created_all).
    pub fn updated_all<'a, M: Publishable + 'static>(
        &mut self,
        instances: impl IntoIterator<Item = &'a M>,
    ) -> Result<(), Error> {
        self.staging()?.updated_all(instances)
    }

    /// Stages `destroyed` of each instance, as [`destroyed`](Self::destroyed) does, in the order given.
    ///
    /// # Errors
    /// As for [`created_all`](Self::created_all).
    pub fn destroyed_all<'a, M: Publishable + 'static>(
        &mut self,
        instances: impl IntoIterator<Item = &'a M>,
    ) -> Result<(), Error> {
        self.staging()?.destroyed_all(instances)
    }

    /// Stages what each pair of states, before and after, comes to, as [`changed`](Self::changed) does, in the order given.
    ///
    /// # Errors
    /// As for [`created_all`](Self::created_all).
    ///
    /// # Examples
    /// ```no_run
    /// # mod app {
    /// # #[derive(sqlx::FromRow, dionysus_derive::Publishable)]
    /// # #[publishable(crate = "dionysus_core", model = "Rental", table = "rentals")]
    /// # pub struct Rental { pub id: i64, pub account_id: i64 }
    /// # }
    /// # use app::Rental;
    /// # async fn purge(outbox: dionysus_producer::Outbox) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = outbox.begin().await?;
    /// // Soft-deleted long ago, so that each is published by its id alone.
    /// let gone: Vec<Rental> =
    ///     sqlx::query_as("delete from rentals where canceled_at < now() - interval '1 year' returning *")
    ///         .fetch_all(&mut *tx)
    ///         .await?;
    /// tx.changed_all(gone.iter().map(|rental| (Some(rental), None)))?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn changed_all<'a, M: Publishable + 'static>(
        &mut self,
        changes: impl IntoIterator<Item = (Option<&'a M>, Option<&'a M>)>,
    ) -> Result<(), Error> {
        self.staging()?.changed_all(changes)
    }
}

impl Stage {
    /// Stages `created` of each instance; see [`OutboxTransaction::created_all`].
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn created_all<'a, M: Publishable + 'static>(
        &mut self,
        instances: impl IntoIterator<Item = &'a M>,
    ) -> Result<(), Error> {
        self.all(instances, |draft, instance| draft.created(instance))
    }

    /// Stages `updated` of each instance; see [`OutboxTransaction::updated_all`].
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn updated_all<'a, M: Publishable + 'static>(
        &mut self,
        instances: impl IntoIterator<Item = &'a M>,
    ) -> Result<(), Error> {
        self.all(instances, |draft, instance| draft.updated(instance))
    }

    /// Stages `destroyed` of each instance; see [`OutboxTransaction::destroyed_all`].
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn destroyed_all<'a, M: Publishable + 'static>(
        &mut self,
        instances: impl IntoIterator<Item = &'a M>,
    ) -> Result<(), Error> {
        self.all(instances, |draft, instance| draft.destroyed(instance))
    }

    /// Stages what each pair of states comes to; see [`OutboxTransaction::changed_all`].
    ///
    /// # Errors
    /// As there, but for [`Error::OtherDepth`].
    pub fn changed_all<'a, M: Publishable + 'static>(
        &mut self,
        changes: impl IntoIterator<Item = (Option<&'a M>, Option<&'a M>)>,
    ) -> Result<(), Error> {
        self.all(changes, |draft, (before, after)| draft.changed(before, after))
    }

    fn all<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        add: impl Fn(&mut Draft<'_>, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.draft(|draft| {
            let mut items = items.into_iter();
            draft.reserve(items.size_hint().0);
            items.try_for_each(|item| add(draft, item))
        })
    }
}
