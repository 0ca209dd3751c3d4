//! Partitions of the outbox, one a day (UTC), made ahead.
//!
//! `LIKE` + `ATTACH` and not `CREATE .. PARTITION OF`: the latter takes ACCESS EXCLUSIVE on the parent, queues behind any open writer
//! and blocks every insert behind itself. `ATTACH` takes SHARE UPDATE EXCLUSIVE on the parent and looks at the DEFAULT partition only,
//! whose lock nobody holds as long as the days were made in time. Where it is held, or rows of the day already lie there, the day
//! stays in DEFAULT: nothing is lost, and `lock_timeout` bounds the wait.
//!
//! **A day that may have begun is never attached.** An insert that was routed to DEFAULT before the `ATTACH` waits for DEFAULT's lock, finds its
//! row outside DEFAULT's new bounds and fails (23514, `ExecPartitionCheck`): an application's transaction, for our sake. So the first day of
//! a new outbox lies in DEFAULT.

use chrono::{Days, NaiveDate};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::Error;

/// How long a day may wait for the DEFAULT partition's lock; inserts into DEFAULT queue behind us for that long.
const LOCK_TIMEOUT_MS: u32 = 200;

/// How long before it begins a day is left alone: far more than a round of [`make_ahead`] takes, and than clocks differ in.
const MARGIN: &str = "interval '10 minutes'";

/// Makes the partitions of the `ahead` days to come that do not exist. Returns how many were made.
///
/// # Errors
/// [`Error::Statement`], except for a lock that was not had in time, for rows in the way, and for another process that was faster: these are
/// left for the next call.
pub async fn make_ahead(pool: &PgPool, ahead: u32) -> Result<u32, Error> {
    let mut conn = pool.acquire().await.map_err(Error::at("making partitions"))?;
    let missing = missing(&mut conn, ahead).await?;
    let mut made = 0;
    for day in missing {
        match make(&mut conn, day).await {
            Ok(()) => made += 1,
            Err(error) if leaves_the_day_to_default(&error) => {
                tracing::debug!(%day, error = %error, "partition not made, the default partition takes the day");
            }
            Err(error) => return Err(Error::at("making a partition")(error)),
        }
    }
    Ok(made)
}

/// Of the `ahead` days to come those without a partition: unless it is made in time, their rows go to DEFAULT.
///
/// # Errors
/// [`Error::Statement`].
pub async fn missing(conn: &mut PgConnection, ahead: u32) -> Result<Vec<NaiveDate>, Error> {
    sqlx::query_scalar(AssertSqlSafe(format!(
        "select day::date
         from generate_series(1, $1) as n, lateral (select ((now() + {MARGIN}) at time zone 'UTC')::date + n as day) as d
         where to_regclass('dionysus.outbox_p' || to_char(day, 'YYYYMMDD')) is null
         order by day"
    )))
    .bind(i32::try_from(ahead).unwrap_or(i32::MAX))
    .fetch_all(conn)
    .await
    .map_err(Error::at("looking for missing partitions"))
}

async fn make(conn: &mut PgConnection, day: NaiveDate) -> Result<(), sqlx::Error> {
    let name = format!("outbox_p{}", day.format("%Y%m%d"));
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    let mut tx = conn.begin().await?;
    // Only digits of a date are put into the text. The day is looked at again: this process may have been frozen since.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "set local lock_timeout = {LOCK_TIMEOUT_MS};
         do $$ begin
             if '{day} 00:00:00+00' < clock_timestamp() + {MARGIN} / 2 then
                 raise check_violation using message = 'the day may have begun';
             end if;
         end $$;
         create table dionysus.{name} (like dionysus.outbox including defaults including constraints including indexes);
         alter table dionysus.outbox attach partition dionysus.{name}
             for values from ('{day} 00:00:00+00') to ('{next} 00:00:00+00')"
    )))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// 55P03: lock not had; 23514: DEFAULT holds rows of the day, or it may have begun; 42P07, 23505: made by somebody else meanwhile; 40P01: deadlock.
fn leaves_the_day_to_default(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(&*code, "55P03" | "23514" | "42P07" | "23505" | "40P01"))
}
