//! Rows of the quarantine whose turn has come; see `quarantine.rs`. One release at a time, of one lane, through the careful client.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::{Disposition, OutgoingMessage, PublishError};
use dionysus_postgres::Error as PostgresError;
use dionysus_postgres::quarantine::{self, Due};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Pump;
use super::set_aside::cause_of_row;
use crate::Error;
use crate::error::Chain;
use crate::in_flight::{Failure, InFlight};
use crate::lane::State;
use crate::message::HandOverError;
use crate::quarantine::retry_in;

/// Rows of one release: a round trip's worth, and little memory.
const ROWS_MAX: i64 = 500;
/// How often it is looked whose turn has come, where rows are in quarantine.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The wait when the topics of a release could not be looked up.
const NOT_OPEN: Duration = Duration::from_secs(5);

/// Rows on their way out of quarantine.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) topic: String,
    epoch: i64,
    in_flight: Arc<InFlight>,
    slots: usize,
    /// Looks its topics up for the careful client, and says whether they are there.
    opening: Option<JoinHandle<bool>>,
    rows: VecDeque<Due>,
    /// Rows handed over.
    sent: Vec<Sent>,
    messages: u64,
    /// The messages up to the last of each key: one row of a key is on its way at a time.
    keys: HashMap<String, u64>,
    /// Keys of which a row was refused again: the rest of theirs stays.
    refused_keys: HashSet<String>,
    /// Row, tries so far, cause.
    refused: Vec<(i64, i32, String)>,
}

#[derive(Debug)]
struct Sent {
    row: Due,
    /// The messages up to its last.
    end: u64,
    /// The size of its message.
    bytes: usize,
}

/// What is left to be written down of a release.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) topic: String,
    epoch: i64,
    taken: Vec<i64>,
    /// The largest of the taken.
    bytes: usize,
    /// Row, tries so far, cause.
    refused: Vec<(i64, i32, String)>,
}

impl Release {
    /// Rows that are wholly acknowledged are taken.
    fn ended(&self, refused: Vec<(i64, i32, String)>) -> Ended {
        let settled = self.in_flight.settled(self.slots).messages;
        let taken = || self.sent.iter().filter(|sent| sent.end <= settled);
        Ended {
            topic: self.topic.clone(),
            epoch: self.epoch,
            taken: taken().map(|sent| sent.row.seq).collect(),
            bytes: taken().map(|sent| sent.bytes).max().unwrap_or(0),
            refused,
        }
    }
}

impl Pump {
    /// Takes a release one step further, or looks for the next.
    pub(super) async fn release(&mut self) -> Result<(), Error> {
        if !self.ended.topic.is_empty() {
            let ended = std::mem::take(&mut self.ended);
            self.write_down(ended).await;
        }
        if let Some(mut release) = self.release.take() {
            if let Some(opening) = &mut release.opening {
                if !opening.is_finished() {
                    self.release = Some(release);
                    return Ok(());
                }
                if !matches!(opening.await, Ok(true)) {
                    self.next_release = Instant::now() + NOT_OPEN;
                    return Ok(());
                }
                release.opening = None;
            }
            let refused = self.send(&mut release)?;
            release.refused.extend(refused);
            let sent = release.rows.is_empty();
            if sent && release.in_flight.settled(release.slots).waiting == 0 {
                let refused = std::mem::take(&mut release.refused);
                self.write_down(release.ended(refused)).await;
            } else {
                self.release = Some(release);
            }
            return Ok(());
        }
        let keeps = self.lanes.values().any(|lane| lane.kept.has_stored());
        if !keeps || self.stopping || Instant::now() < self.next_release {
            return Ok(());
        }
        self.next_release = Instant::now() + LOOK_EVERY;
        if let Err(error) = self.next_turn().await {
            tracing::warn!(error = %Chain(&error), "quarantine not read, trying again");
        }
        Ok(())
    }

    /// Whether rows of this lane are on their way out of quarantine.
    pub(super) fn is_releasing(&self, topic: &str) -> bool {
        self.ended.topic == topic
            || self.release.as_ref().is_some_and(|release| release.topic == topic)
    }

    /// When it is looked again whose turn has come.
    pub(super) fn next_release_at(&self) -> Option<Instant> {
        let keeps = self.lanes.values().any(|lane| lane.kept.has_stored());
        (keeps && self.release.is_none() && !self.stopping).then_some(self.next_release)
    }

    /// Executes what people have given up, and begins with the rows of one lane whose turn has come.
    async fn next_turn(&mut self) -> Result<(), Error> {
        let (pool, id) = (&self.session.pool, self.session.id);
        if quarantine::give_up(pool, id).await? > 0 {
            let topics = self.lanes.keys().cloned().collect::<Vec<_>>();
            self.refresh_keys(&topics).await?;
        }
        let due = quarantine::due(&self.session.pool, id, ROWS_MAX).await?;
        let active = |topic: &str| {
            self.lanes.get(topic).filter(|lane| lane.state == State::Active).map(|lane| lane.epoch)
        };
        let Some((topic, epoch)) =
            due.iter().find_map(|row| Some((row.topic.clone(), active(&row.topic)?)))
        else {
            return Ok(());
        };
        let rows: VecDeque<Due> = due.into_iter().filter(|row| row.topic == topic).collect();
        let in_flight = self.careful()?;
        let slots = in_flight.open();
        let opening = self.look_topics_up(&topic, &in_flight);
        tracing::info!(topic, rows = rows.len(), "releasing rows from quarantine");
        self.release = Some(Release {
            topic,
            epoch,
            in_flight,
            slots,
            opening,
            rows,
            sent: Vec::new(),
            messages: 0,
            keys: HashMap::new(),
            refused_keys: HashSet::new(),
            refused: Vec::new(),
        });
        Ok(())
    }

    fn look_topics_up(&self, topic: &str, done: &Arc<InFlight>) -> Option<JoinHandle<bool>> {
        let lane = self.lanes.get(topic)?;
        let topics: Vec<_> = std::iter::once(lane.topic.clone()).chain(lane.twin.clone()).collect();
        let publisher = Arc::clone(&self.careful.as_ref()?.publisher);
        let (opener, done) = (self.session.opener.clone(), Arc::clone(done));
        Some(tokio::spawn(async move {
            let found = opener.open(&publisher, &topics).await;
            if let Err(error) = &found {
                tracing::warn!(error = %Chain(error), "topics of a release not looked up");
            }
            done.progress.notify_one();
            found.is_ok()
        }))
    }

    /// Hands over as many rows as the client takes. Returns those that it refused at once.
    fn send(&mut self, release: &mut Release) -> Result<Vec<(i64, i32, String)>, Error> {
        let mut refused = Vec::new();
        let Some(lane) = self.lanes.get(&release.topic).filter(|lane| lane.epoch == release.epoch)
        else {
            release.rows.clear();
            return Ok(refused);
        };
        let Some(client) = &self.careful else { return Ok(refused) };
        let settled = release.in_flight.settled(release.slots).messages;
        let mut later = VecDeque::new();
        while let Some(row) = release.rows.pop_front() {
            if !self.may_hand_over() {
                release.rows.push_front(row);
                break;
            }
            if release.refused_keys.contains(&row.key) {
                continue;
            }
            if release.keys.get(&row.key).is_some_and(|end| *end > settled) {
                later.push_back(row);
                continue;
            }
            let topics = [Some(lane.topic.as_str()), lane.twin.as_deref()];
            // The broker judges: what the topic accepts may have changed since the lane was opened.
            let (mut outcome, mut bytes) = (Ok(()), 0);
            for topic in topics.into_iter().flatten() {
                let ticket = release.in_flight.expect(release.slots, row.seq, row.seq, None);
                let publish = |message: &OutgoingMessage<'_>| {
                    bytes = message.wire_bytes();
                    client.publisher.publish(message, ticket)
                };
                outcome = self.renderer.with_message(&row, topic, publish);
                if outcome.is_err() {
                    release.in_flight.retract(release.slots);
                    break;
                }
                release.messages += 1;
            }
            match outcome {
                Ok(()) => {
                    release.keys.insert(row.key.clone(), release.messages);
                    release.sent.push(Sent { row, end: release.messages, bytes });
                }
                // After a fatal error the next turn ends this release, and says whose fault it was.
                Err(HandOverError::Publish(
                    PublishError::QueueFull | PublishError::Fatal { .. },
                )) => {
                    release.rows.push_front(row);
                    break;
                }
                Err(HandOverError::Row(error)) => return Err(error.into()),
                Err(error) => {
                    let cause = cause_of_row(&error)
                        .unwrap_or_else(|| "its topic takes no messages from us".to_owned());
                    release.refused_keys.insert(row.key.clone());
                    refused.push((row.seq, row.attempts, cause));
                }
            }
        }
        later.append(&mut release.rows);
        release.rows = later;
        Ok(refused)
    }

    /// The careful client is thrown away: what it has acknowledged counts, a row that it was refused for is known, the rest comes again.
    pub(super) fn interrupt_release(&mut self, failure: Option<&Failure>) {
        let Some(release) = self.release.take() else { return };
        let mut ended = release.ended(release.refused.clone());
        if let Some(failure) = failure.filter(|failure| failure.lane == release.slots)
            && matches!(failure.error.disposition(), Disposition::Isolate | Disposition::StopTopic)
            && let Some(Sent { row, .. }) =
                release.sent.iter().find(|sent| sent.row.seq == failure.seq)
        {
            ended.refused.push((row.seq, row.attempts, Chain(&failure.error).to_string()));
        }
        self.ended = ended;
    }

    /// Removes what was taken and notes what was refused again. If that fails, the rows come again.
    async fn write_down(&mut self, ended: Ended) {
        if let Err(error) = self.try_write_down(&ended).await {
            tracing::warn!(topic = ended.topic, error = %Chain(&error), "quarantine not written, its rows come again");
        }
    }

    async fn try_write_down(&mut self, ended: &Ended) -> Result<(), PostgresError> {
        let Ended { topic, epoch, taken, bytes, refused } = ended;
        let (pool, id) = (&self.session.pool, self.session.id);
        for (seq, attempts, cause) in refused {
            let tries = u32::try_from(*attempts).unwrap_or(0) + 1;
            tracing::warn!(topic, seq, cause, tries, "row refused again");
            quarantine::refused_again(pool, id, topic, *seq, cause, retry_in(tries)).await?;
        }
        if !taken.is_empty() {
            let removed = quarantine::released(pool, id, *epoch, topic, taken).await?;
            tracing::info!(topic, rows = removed, "rows released from quarantine");
            if let Some(lane) = self.lanes.get_mut(topic) {
                lane.limit = lane.limit.max(*bytes);
                lane.meters.published.increment(removed);
            }
        }
        self.refresh_keys(std::slice::from_ref(topic)).await
    }

    /// Reads which keys are held.
    pub(super) async fn refresh_keys(&mut self, topics: &[String]) -> Result<(), PostgresError> {
        let mut keys = quarantine::keys(&self.session.pool, topics).await?;
        for topic in topics {
            if let Some(lane) = self.lanes.get_mut(topic) {
                lane.kept.replace_stored(keys.remove(topic).unwrap_or_default());
                lane.show_kept();
            }
        }
        Ok(())
    }
}
