//! Reading the rows between two snapshots. The rule and its proof are in [`dionysus_core::Cursor`]; here are the plans.
//!
//! Three statements:
//! - [`WindowReader::fresh`]: a small window up to *now*, one round trip. The statement's own snapshot is `C`, so visibility is Postgres's
//!   own and the rows need no filter; they come through the index on `xid` and are sorted here.
//! - [`WindowReader::upto`]: the same up to a `C` that another lane has reached, so that lanes meet and are read together from then on.
//! - [`WindowReader::chunk`]: one chunk of a window too large for that, as two ordered streams merged by `seq`: the transactions that
//!   finished since `S`, each through `(xid, seq)`, and everything from `S.xmax` on through `(seq)`. One stream from the smallest
//!   number of all would scan everything since the start of one long transaction; a sort per chunk is quadratic; a
//!   server-side cursor holds a snapshot for minutes.
//!
//! Each statement also returns the incarnation's token (see [`crate::incarnation`]).
//!
//! Plans are pinned: `(condition) is true` can't use an index, which keeps the planner from walking a lane's whole history through the
//! index on `(topic, key, seq)`, or a window through the wrong one of `xid` and `seq`. Sequential scans are off on this
//! connection: a fresh partition has no statistics, and a guess would scan the day at each poll.

use chrono::{DateTime, Utc};
use dionysus_core::{Cursor, Snapshot};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection, PgConnection, Postgres, Row, ValueRef};
use uuid::Uuid;

use crate::Error;

/// What a read returned.
#[derive(Debug)]
pub struct Window {
    /// The snapshot it was read up to.
    pub to: Snapshot,
    /// Whether that snapshot was taken by this read.
    pub to_is_new: bool,
    /// The token of the server's run; `None` after a crash until somebody makes a new one, and from a chunk without rows.
    pub token: Option<Uuid>,
    /// The rows, by `seq`.
    pub rows: Vec<OutboxRow>,
    /// Whether the window, or the chunk, held more than the limit. A window then returns no rows: it is to be read in chunks.
    pub more: bool,
}

impl Window {
    /// Bytes of payload or capture of a row, on average; `None` without rows.
    pub fn average_payload(&self) -> Option<usize> {
        let size = |row: &OutboxRow| content_bytes(&row.row).unwrap_or(0);
        (!self.rows.is_empty()).then(|| self.rows.iter().map(size).sum::<usize>() / self.rows.len())
    }
}

/// How much a read may bring.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Rows.
    pub rows: u32,
    /// Payload bytes: reading stops at the row that exceeds them. What the server has sent beyond is thrown away as it
    /// arrives, so a sudden change from small rows to large ones costs time and no memory.
    pub bytes: usize,
}

impl Limit {
    /// A limit of rows alone.
    pub const fn rows(rows: u32) -> Self {
        Self { rows, bytes: usize::MAX }
    }
}

/// A row of the outbox, decoded where it is used: fields borrow from the bytes that came from the socket.
#[derive(Debug)]
pub struct OutboxRow {
    row: PgRow,
    seq: i64,
}

/// One connection that reads windows. Not `Clone`; reads are one after the other.
#[derive(Debug)]
pub struct WindowReader {
    conn: PgConnection,
}

impl WindowReader {
    /// Connects. `name` is shown in `pg_stat_activity`.
    ///
    /// # Errors
    /// [`Error::Statement`] if the server can't be reached, [`Error::InRecovery`] on a standby.
    pub async fn connect(options: &PgConnectOptions, name: &str) -> Result<Self, Error> {
        let options = options.clone().application_name(name).options([
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
            ("jit", "off"),
        ]);
        let mut conn = options.connect().await.map_err(Error::at("connecting to Postgres"))?;
        let in_recovery: bool = sqlx::query_scalar("select pg_is_in_recovery()")
            .fetch_one(&mut conn)
            .await
            .map_err(Error::at("asking whether the server is in recovery"))?;
        if in_recovery { Err(Error::InRecovery) } else { Ok(Self { conn }) }
    }

    /// The rows of `topics` that have become visible since `from`, up to now.
    ///
    /// # Errors
    /// [`Error::Statement`], [`Error::Snapshot`].
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the reader with the future.
    pub async fn fresh(
        &mut self,
        from: &Snapshot,
        topics: &[String],
        limit: Limit,
    ) -> Result<Window, Error> {
        let query = sqlx::query(
            "select pg_current_snapshot()::text as snapshot, (select token from dionysus.incarnation) as token,
                    null::bigint as seq, null::uuid as event_id, null::timestamptz as created_at, null::text as topic,
                    null::text as key, null::text as partition_key, null::bytea as payload, null::jsonb as headers, null::text as capture
             union all
             (select null, null, seq, event_id, created_at, topic, key, partition_key, payload, headers, capture::text
              from dionysus.outbox
              where xid = any($1::text[]::xid8[]) and (topic = any($3)) is true
              limit $4)
             union all
             (select null, null, seq, event_id, created_at, topic, key, partition_key, payload, headers, capture::text
              from dionysus.outbox
              where xid >= $2::text::xid8 and (topic = any($3)) is true
              limit $4)",
        )
        .bind(texts(from.in_progress()))
        .bind(from.xmax().to_string())
        .bind(topics)
        .bind(i64::from(limit.rows) + 1);
        let (rows, cut) = read(query, &mut self.conn, limit.bytes).await?;
        window(rows, cut, None, limit)
    }

    /// The rows of `topics` that are new between `from` and `to`.
    ///
    /// # Errors
    /// [`Error::Statement`], [`Error::Snapshot`].
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the reader with the future.
    pub async fn upto(
        &mut self,
        from: &Snapshot,
        to: &Snapshot,
        topics: &[String],
        limit: Limit,
    ) -> Result<Window, Error> {
        let query = sqlx::query(
            "select '' as snapshot, (select token from dionysus.incarnation) as token,
                    null::bigint as seq, null::uuid as event_id, null::timestamptz as created_at, null::text as topic,
                    null::text as key, null::text as partition_key, null::bytea as payload, null::jsonb as headers, null::text as capture
             union all
             (select null, null, seq, event_id, created_at, topic, key, partition_key, payload, headers, capture::text
              from dionysus.outbox
              where xid = any($1::text[]::xid8[]) and (topic = any($3)) is true
              limit $4)
             union all
             (select null, null, seq, event_id, created_at, topic, key, partition_key, payload, headers, capture::text
              from dionysus.outbox
              where xid >= $2::text::xid8 and xid < $5::text::xid8 and (topic = any($3)) is true
                and pg_visible_in_snapshot(xid, $6::text::pg_snapshot)
              limit $4)",
        )
        .bind(texts(&from.finished_by(to)))
        .bind(from.xmax().to_string())
        .bind(topics)
        .bind(i64::from(limit.rows) + 1)
        .bind(to.xmax().to_string())
        .bind(to.to_string());
        let (rows, cut) = read(query, &mut self.conn, limit.bytes).await?;
        window(rows, cut, Some(to), limit)
    }

    /// Where the second stream of a large window begins: just before its smallest number. Asked once a window; reads the index on
    /// `(xid, seq)` alone.
    ///
    /// # Errors
    /// [`Error::Statement`].
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the reader with the future.
    pub async fn first_seq(&mut self, from: &Snapshot, to: &Snapshot) -> Result<i64, Error> {
        let smallest: Option<i64> = sqlx::query_scalar(
            "select min(seq) from dionysus.outbox
             where xid >= $1::text::xid8 and xid < $2::text::xid8 and pg_visible_in_snapshot(xid, $3::text::pg_snapshot)",
        )
        .bind(from.xmax().to_string())
        .bind(to.xmax().to_string())
        .bind(to.to_string())
        .fetch_one(&mut self.conn)
        .await
        .map_err(Error::at("looking for the first row of a window"))?;
        Ok(smallest.map_or(Cursor::WINDOW_START, |seq| seq - 1))
    }

    /// The next rows of the window `(from, to]` after number `after`, at most `limit`. `stream_start` is [`WindowReader::first_seq`] of this
    /// window, or [`Cursor::WINDOW_START`].
    ///
    /// # Errors
    /// [`Error::Statement`], [`Error::Snapshot`].
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the reader with the future.
    pub async fn chunk(
        &mut self,
        from: &Snapshot,
        to: &Snapshot,
        after: i64,
        stream_start: i64,
        topics: &[String],
        limit: Limit,
    ) -> Result<Window, Error> {
        let query = sqlx::query(
            "select null::text as snapshot, (select token from dionysus.incarnation) as token,
                    seq, event_id, created_at, topic, key, partition_key, payload, headers, capture::text
             from (
                 (select r.* from unnest($1::text[]::xid8[]) as finished (id)
                  cross join lateral (
                      select seq, event_id, created_at, topic, key, partition_key, payload, headers, capture
                      from dionysus.outbox
                      where xid = finished.id and seq > $4 and (topic = any($3)) is true
                      order by xid, seq limit $5) as r)
                 union all
                 (select seq, event_id, created_at, topic, key, partition_key, payload, headers, capture
                  from dionysus.outbox
                  where seq > $7 and (xid >= $2::text::xid8) is true and (topic = any($3)) is true
                    and pg_visible_in_snapshot(xid, $6::text::pg_snapshot)
                  order by seq limit $5)
             ) as w
             order by seq limit $5",
        )
        .bind(texts(&from.finished_by(to)))
        .bind(from.xmax().to_string())
        .bind(topics)
        .bind(after)
        .bind(i64::from(limit.rows))
        .bind(to.to_string())
        .bind(after.max(stream_start));
        let (rows, cut) = read(query, &mut self.conn, limit.bytes).await?;
        let more = cut || rows.len() >= limit.rows as usize;
        let token = rows
            .last()
            .map(|row| row.try_get("token"))
            .transpose()
            .map_err(Error::at("reading a token"))?
            .flatten();
        Ok(Window { to: to.clone(), to_is_new: false, token, rows: decode(rows)?, more })
    }

    /// Closes the connection.
    pub async fn close(self) {
        // The server notices a connection that is not closed as well.
        self.conn.close().await.ok();
    }
}

/// xid8 has no binding in sqlx; its text form is exact.
fn texts(xids: &[u64]) -> Vec<String> {
    xids.iter().map(ToString::to_string).collect()
}

/// Reads rows until they exceed so many payload bytes; true if they did. sqlx throws the rest away before the next statement.
async fn read(
    query: Query<'_, Postgres, PgArguments>,
    conn: &mut PgConnection,
    bytes: usize,
) -> Result<(Vec<PgRow>, bool), Error> {
    let at = || Error::at("reading rows of the outbox");
    let mut stream = query.fetch(conn);
    let (mut rows, mut size) = (Vec::new(), 0_usize);
    while let Some(row) = stream.try_next().await.map_err(at())? {
        size = size.saturating_add(content_bytes(&row).map_err(at())?);
        rows.push(row);
        if size > bytes {
            return Ok((rows, true));
        }
    }
    Ok((rows, false))
}

/// Bytes of what a row holds for its message: payload or capture.
fn content_bytes(row: &PgRow) -> Result<usize, sqlx::Error> {
    if let Some(payload) = row.try_get::<Option<&[u8]>, _>(PAYLOAD)? {
        return Ok(payload.len());
    }
    Ok(row.try_get::<Option<&str>, _>(CAPTURE)?.map_or(0, str::len))
}

/// The first row of [`WindowReader::fresh`] and [`WindowReader::upto`] carries snapshot and token.
fn window(
    mut rows: Vec<PgRow>,
    cut: bool,
    to: Option<&Snapshot>,
    limit: Limit,
) -> Result<Window, Error> {
    let at = || Error::at("reading a window");
    // An append returns its children in order; the look for the marked row does not rely on it.
    let marked = |row: &PgRow| row.try_get_raw(SNAPSHOT).is_ok_and(|value| !value.is_null());
    let head = rows.iter().position(marked);
    let head = rows.swap_remove(head.ok_or_else(|| at()(sqlx::Error::RowNotFound))?);
    let to_is_new = to.is_none();
    let to = match to {
        Some(to) => to.clone(),
        None => head.try_get::<&str, _>("snapshot").map_err(at())?.parse()?,
    };
    let token = head.try_get("token").map_err(at())?;
    let more = cut || rows.len() > limit.rows as usize;
    let mut rows = if more { Vec::new() } else { decode(rows)? };
    rows.sort_unstable_by_key(OutboxRow::seq);
    Ok(Window { to, to_is_new, token, rows, more })
}

fn decode(rows: Vec<PgRow>) -> Result<Vec<OutboxRow>, Error> {
    rows.into_iter()
        .map(|row| Ok(OutboxRow { seq: row.try_get(SEQ)?, row }))
        .collect::<Result<_, _>>()
        .map_err(Error::at("reading a row of the outbox"))
}

/// Positions in the select lists above.
const SNAPSHOT: usize = 0;
const SEQ: usize = 2;
const EVENT_ID: usize = 3;
const CREATED_AT: usize = 4;
const TOPIC: usize = 5;
const KEY: usize = 6;
const PARTITION_KEY: usize = 7;
const PAYLOAD: usize = 8;
const HEADERS: usize = 9;
const CAPTURE: usize = 10;

impl OutboxRow {
    /// The number that orders it, and its version.
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// The primary topic.
    ///
    /// # Errors
    /// [`Error::Statement`] if the column is not what the schema says; so for the other fields.
    pub fn topic(&self) -> Result<&str, Error> {
        self.get(TOPIC)
    }

    /// The Kafka key.
    ///
    /// # Errors
    /// As [`OutboxRow::topic`].
    pub fn key(&self) -> Result<&str, Error> {
        self.get(KEY)
    }

    /// What the partition is chosen by.
    ///
    /// # Errors
    /// As [`OutboxRow::topic`].
    pub fn partition_key(&self) -> Result<Option<&str>, Error> {
        self.get(PARTITION_KEY)
    }

    /// The bytes to publish. `None`: those that [`capture`](Self::capture) becomes, or, without one, a tombstone.
    ///
    /// # Errors
    /// As [`OutboxRow::topic`].
    pub fn payload(&self) -> Result<Option<&[u8]>, Error> {
        self.get(PAYLOAD)
    }

    /// What a trigger wrote, for [`dionysus_core::encode_captured`].
    ///
    /// # Errors
    /// As [`OutboxRow::topic`].
    pub fn capture(&self) -> Result<Option<&str>, Error> {
        self.get(CAPTURE)
    }

    /// The event's identity.
    ///
    /// # Errors
    /// As [`OutboxRow::topic`].
    pub fn event_id(&self) -> Result<Uuid, Error> {
        self.get(EVENT_ID)
    }

    /// When it was written.
    ///
    /// # Errors
    /// As [`OutboxRow::topic`].
    pub fn created_at(&self) -> Result<DateTime<Utc>, Error> {
        self.get(CREATED_AT)
    }

    /// Headers to publish beside ours.
    ///
    /// # Errors
    /// As [`OutboxRow::topic`].
    pub fn headers(&self) -> Result<Option<serde_json::Value>, Error> {
        self.get(HEADERS)
    }

    fn get<'r, T>(&'r self, column: usize) -> Result<T, Error>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        self.row.try_get(column).map_err(Error::at("reading a row of the outbox"))
    }
}
