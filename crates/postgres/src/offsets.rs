//! How far a consumer group has applied a partition: progress that commits with its effect, and the fence of a former owner.
//!
//! [`advance`] is the first statement of every batch's transaction. It moves the row from the place where the batch begins to the place where it
//! ends, and nothing else: a second owner waits for the row's lock, then finds the row elsewhere, and its transaction changes nothing. So a zombie
//! (paused, partitioned, slow to hear of a rebalance) needs no clock and no epoch to be harmless, and a message is applied exactly once per group
//! however often Kafka delivers it. The offsets that Kafka stores are for lag tools alone.

use sqlx::{PgConnection, PgPool};

use crate::Error;

/// The place of a partition of which nothing has been applied: its beginning, whatever offset that has.
pub const BEGINNING: i64 = -2;

/// Where a group goes on in a partition.
#[derive(Clone, Debug, Eq, PartialEq, sqlx::FromRow)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset of the next message to apply, or [`BEGINNING`].
    pub next_offset: i64,
}

/// A step of one partition, from the place where a batch begins to the place where it ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step<'a> {
    /// The consumer group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The partition's number.
    pub partition: i32,
    /// What the row must say: where the batch begins.
    pub from: i64,
    /// What the row says from then on.
    pub to: i64,
}

/// Where the group goes on in each of these partitions. Those that are new get a row, at [`BEGINNING`].
///
/// # Errors
/// [`Error::Statement`].
pub async fn load(
    pool: &PgPool,
    group: &str,
    partitions: &[(&str, i32)],
) -> Result<Vec<Position>, Error> {
    let topics: Vec<&str> = partitions.iter().map(|(topic, _)| *topic).collect();
    let numbers: Vec<i32> = partitions.iter().map(|(_, partition)| *partition).collect();
    sqlx::query(
        "insert into dionysus.consumer_offsets (consumer_group, topic, partition, next_offset)
         select $1, topic, partition, $4 from unnest($2::text[], $3::integer[]) as p (topic, partition)
         order by topic, partition
         on conflict (consumer_group, topic, partition) do nothing",
    )
    .bind(group)
    .bind(&topics)
    .bind(&numbers)
    .bind(BEGINNING)
    .execute(pool)
    .await
    .map_err(Error::at("adding offsets of a consumer group"))?;
    sqlx::query_as(
        "select o.topic, o.partition, o.next_offset
         from dionysus.consumer_offsets o
         join unnest($2::text[], $3::integer[]) as p (topic, partition) using (topic, partition)
         where o.consumer_group = $1",
    )
    .bind(group)
    .bind(&topics)
    .bind(&numbers)
    .fetch_all(pool)
    .await
    .map_err(Error::at("reading offsets of a consumer group"))
}

/// Takes the step if the row is where the step begins; holds its lock until the transaction ends. `false`: somebody else has moved it, the
/// transaction must be rolled back.
///
/// # Errors
/// [`Error::Statement`].
pub async fn advance(conn: &mut PgConnection, step: &Step<'_>) -> Result<bool, Error> {
    let done = sqlx::query(
        "update dionysus.consumer_offsets set next_offset = $5, updated_at = now()
         where consumer_group = $1 and topic = $2 and partition = $3 and next_offset = $4",
    )
    .bind(step.group)
    .bind(step.topic)
    .bind(step.partition)
    .bind(step.from)
    .bind(step.to)
    .execute(conn)
    .await
    .map_err(Error::at("advancing an offset"))?;
    Ok(done.rows_affected() == 1)
}
