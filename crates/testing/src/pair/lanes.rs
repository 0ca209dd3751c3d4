//! The relay's half: lanes, each with its cursor, read as the relay reads them.

use std::collections::BTreeMap;

use dionysus_core::{Cursor, GENESIS_SUFFIX, Snapshot};
use dionysus_postgres::topics;
use dionysus_postgres::window::{Limit, OutboxRow, WindowReader};
use dionysus_relay::{RelayOptions, Rendered};
use sqlx::PgPool;

use crate::{Error, Message};

#[derive(Debug)]
pub(super) struct Lanes {
    pool: PgPool,
    reader: WindowReader,
    by_topic: BTreeMap<String, Lane>,
    pub(super) chunk_rows: u32,
}

#[derive(Debug)]
struct Lane {
    twin: Option<String>,
    /// Every row that it sees was published.
    cursor: Snapshot,
}

impl Lanes {
    pub(super) async fn connect(pool: &PgPool) -> Result<Self, Error> {
        dionysus_postgres::schema::check(pool).await?;
        let reader = WindowReader::connect(&pool.connect_options(), "dionysus-testing").await?;
        let chunk_rows = RelayOptions::default().chunk_rows;
        Ok(Self { pool: pool.clone(), reader, by_topic: BTreeMap::new(), chunk_rows })
    }

    /// What became visible since the last time, by version.
    pub(super) async fn publish(&mut self) -> Result<Vec<Message>, Error> {
        self.open().await?;
        let (mut messages, mut reached) = (Vec::new(), Vec::new());
        for (from, topics) in self.agreeing() {
            let (to, rows) = self.window(&from, &topics).await?;
            for row in &rows {
                let topic = row.topic()?;
                let twin = self.by_topic.get(topic).and_then(|lane| lane.twin.as_deref());
                for topic in [Some(topic), twin].into_iter().flatten() {
                    messages.push((row.seq(), Message::new(topic, Rendered::of(row, topic)?)));
                }
            }
            reached.extend(topics.into_iter().map(|topic| (topic, to.clone())));
        }
        // Only now: an error leaves every lane where it was.
        for (topic, to) in reached {
            if let Some(lane) = self.by_topic.get_mut(&topic) {
                lane.cursor = to;
            }
        }
        // Stable: a twin's message stays behind its primary's.
        messages.sort_by_key(|(seq, _)| *seq);
        Ok(messages.into_iter().map(|(_, message)| message).collect())
    }

    /// A lane for each registered topic, from the beginning of the outbox.
    async fn open(&mut self) -> Result<(), Error> {
        for topic in topics::all(&self.pool).await? {
            let twin = topic.genesis_replica.then(|| format!("{}{GENESIS_SUFFIX}", topic.name));
            let beginning = || Lane { twin: None, cursor: Snapshot::beginning() };
            self.by_topic.entry(topic.name).or_insert_with(beginning).twin = twin;
        }
        Ok(())
    }

    /// Lanes that stand at the same place are read together.
    fn agreeing(&self) -> Vec<(Snapshot, Vec<String>)> {
        let mut groups: Vec<(Snapshot, Vec<String>)> = Vec::new();
        for (topic, lane) in &self.by_topic {
            match groups.iter_mut().find(|(cursor, _)| *cursor == lane.cursor) {
                Some((_, topics)) => topics.push(topic.clone()),
                None => groups.push((lane.cursor.clone(), vec![topic.clone()])),
            }
        }
        groups
    }

    /// The rows up to now, in chunks if there are many.
    async fn window(
        &mut self,
        from: &Snapshot,
        topics: &[String],
    ) -> Result<(Snapshot, Vec<OutboxRow>), Error> {
        let limit = Limit::rows(self.chunk_rows);
        let window = self.reader.fresh(from, topics, limit).await?;
        if !window.more {
            return Ok((window.to, window.rows));
        }
        let to = window.to;
        let start = self.reader.first_seq(from, &to).await?;
        let (mut rows, mut after) = (Vec::new(), Cursor::WINDOW_START);
        loop {
            let chunk = self.reader.chunk(from, &to, after, start, topics, limit).await?;
            after = chunk.rows.last().map_or(after, OutboxRow::seq);
            rows.extend(chunk.rows);
            if !chunk.more {
                return Ok((to, rows));
            }
        }
    }
}
