//! A writer: transaction after transaction, through the producer, on tables with row locks.

use anyhow::Result;
use dionysus::{Outbox, OutboxTransaction, Stage};
use rand::rngs::StdRng;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use super::schedule::{Plan, Savepoint, Step, Which};
use crate::models::{Booking, Instance, Rental, Review};

/// What a writer has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) commits: u32,
    pub(crate) roll_backs: u32,
    pub(crate) deadlocks: u32,
    pub(crate) early: u32,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.commits += other.commits;
        self.roll_backs += other.roll_backs;
        self.deadlocks += other.deadlocks;
        self.early += other.early;
    }
}

/// A change that was made, with the state that its statement returned.
enum Change<M> {
    Created(M),
    Updated(M),
    Destroyed(M),
}

/// Works through its schedule until `end`.
pub(crate) async fn write(outbox: Outbox, mut rng: StdRng, end: Instant) -> Result<Tally> {
    let mut tally = Tally::default();
    while Instant::now() < end {
        let plan = Plan::draw(&mut rng);
        tally.early += u32::from(plan.early);
        let done =
            if plan.early { early(&outbox, &plan).await } else { staged(&outbox, &plan).await };
        match done {
            Ok(()) if plan.commits => tally.commits += 1,
            Ok(()) => tally.roll_backs += 1,
            Err(error) if is_deadlock(&error) => tally.deadlocks += 1,
            Err(error) => return Err(error.context(format!("{plan:?}"))),
        }
    }
    Ok(tally)
}

/// Events are staged, and written in one statement at the end.
async fn staged(outbox: &Outbox, plan: &Plan) -> Result<()> {
    let mut tx = outbox.begin().await?;
    for step in &plan.steps {
        if step.savepoint == Savepoint::None {
            staged_step(&mut tx, step).await?;
        } else {
            let mut savepoint = tx.savepoint().await?;
            staged_step(&mut savepoint, step).await?;
            if step.savepoint == Savepoint::Released {
                savepoint.commit().await?;
            } else {
                savepoint.rollback().await?;
            }
        }
        sleep(step.pause).await;
    }
    if plan.commits {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    Ok(())
}

async fn staged_step(tx: &mut OutboxTransaction<'_>, step: &Step) -> Result<()> {
    match step.model {
        Which::Rental => stage_on::<Rental>(tx, step).await,
        Which::Booking => stage_on::<Booking>(tx, step).await,
        Which::Review => stage_on::<Review>(tx, step).await,
    }
}

async fn stage_on<M: Instance>(tx: &mut OutboxTransaction<'_>, step: &Step) -> Result<()> {
    match change::<M>(tx, step).await? {
        None => {}
        Some(Change::Created(it)) => tx.created(&it)?,
        Some(Change::Updated(it)) => tx.updated(&it)?,
        Some(Change::Destroyed(it)) => tx.destroyed(&it)?,
    }
    Ok(())
}

/// Each event is written right behind its change, in a transaction of the application's own.
async fn early(outbox: &Outbox, plan: &Plan) -> Result<()> {
    let mut tx = outbox.pool().begin().await?;
    for step in &plan.steps {
        if step.savepoint == Savepoint::None {
            early_step(outbox, &mut tx, step).await?;
        } else {
            let mut savepoint = tx.begin().await?;
            early_step(outbox, &mut savepoint, step).await?;
            if step.savepoint == Savepoint::Released {
                savepoint.commit().await?;
            } else {
                savepoint.rollback().await?;
            }
        }
        sleep(step.pause).await;
    }
    if plan.commits {
        tx.commit().await?;
    } else {
        tx.rollback().await?;
    }
    outbox.wake_up();
    Ok(())
}

async fn early_step(outbox: &Outbox, conn: &mut PgConnection, step: &Step) -> Result<()> {
    let mut stage = outbox.stage();
    match step.model {
        Which::Rental => stage_in::<Rental>(&mut stage, conn, step).await?,
        Which::Booking => stage_in::<Booking>(&mut stage, conn, step).await?,
        Which::Review => stage_in::<Review>(&mut stage, conn, step).await?,
    }
    Ok(stage.write(conn).await?)
}

async fn stage_in<M: Instance>(
    stage: &mut Stage,
    conn: &mut PgConnection,
    step: &Step,
) -> Result<()> {
    match change::<M>(conn, step).await? {
        None => {}
        Some(Change::Created(it)) => stage.created(&it)?,
        Some(Change::Updated(it)) => stage.updated(&it)?,
        Some(Change::Destroyed(it)) => stage.destroyed(&it)?,
    }
    Ok(())
}

/// Deletes, updates or creates; nothing where there is nothing to delete, or somebody else was faster to create.
async fn change<M: Instance>(conn: &mut PgConnection, step: &Step) -> Result<Option<Change<M>>> {
    let table = M::TABLE;
    if step.deletes {
        let deleted = format!("delete from {table} where id = $1 returning *");
        let deleted =
            sqlx::query_as(AssertSqlSafe(deleted)).bind(step.id).fetch_optional(conn).await?;
        return Ok(deleted.map(Change::Destroyed));
    }
    let updated = format!(
        "update {table} set name = name || '.', revision = revision + 1 where id = $1 returning *"
    );
    let updated =
        sqlx::query_as(AssertSqlSafe(updated)).bind(step.id).fetch_optional(&mut *conn).await?;
    if let Some(updated) = updated {
        return Ok(Some(Change::Updated(updated)));
    }
    let created = format!(
        "insert into {table} (id, account_id, name, revision) values ($1, $1 % 7, 'n', 1) on conflict do nothing returning *"
    );
    let created = sqlx::query_as(AssertSqlSafe(created)).bind(step.id).fetch_optional(conn).await?;
    Ok(created.map(Change::Created))
}

/// 40P01, wherever it was met.
fn is_deadlock(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<sqlx::Error>())
        .filter_map(sqlx::Error::as_database_error)
        .any(|error| error.code().is_some_and(|code| code == "40P01"))
}
