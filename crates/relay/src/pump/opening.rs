//! Opening lanes, beside the loop: a broker that does not answer delays nobody else.

use std::sync::Arc;

use tokio::time::Instant;

use super::Pump;
use crate::Error;
use crate::error::Chain;
use crate::lane::State;
use crate::observe::Rebuild;
use crate::topics::OpenError;

/// The end of an opening: the lane, the request from which on it was valid, and the limit of its topics.
pub(super) type Opened = (String, u64, Result<usize, OpenError>);

impl Pump {
    /// Looks up the lane's topics in a task of its own.
    pub(super) fn open(&mut self, topic: &str) {
        let Some(lane) = self.lanes.get(topic) else { return };
        let careful = self.careful.as_ref().filter(|_| lane.doubt.is_some());
        let publisher = Arc::clone(careful.map_or(&self.publisher, |client| &client.publisher));
        let opener = self.session.opener.clone();
        let topics: Vec<_> = std::iter::once(lane.topic.clone()).chain(lane.twin.clone()).collect();
        let (topic, valid_from) = (lane.topic.clone(), lane.valid_from);
        self.openings.spawn(async move {
            let result = opener.open(&publisher, &topics).await;
            (topic, valid_from, result)
        });
    }

    /// Takes in the end of such a task; one that was overtaken by a restart says nothing.
    pub(super) fn take_opened(
        &mut self,
        opened: Result<Opened, tokio::task::JoinError>,
    ) -> Result<(), Error> {
        let Ok((topic, valid_from, result)) = opened else {
            return Ok(());
        };
        let Some(lane) = self.lanes.get_mut(&topic) else {
            return Ok(());
        };
        if lane.state != State::Opening || lane.valid_from != valid_from {
            return Ok(());
        }
        match result {
            Ok(limit) => {
                lane.state = State::Active;
                lane.limit = limit;
                tracing::debug!(topic, epoch = lane.epoch, limit, "lane active");
                if limit < self.batch_bytes {
                    // A broker refuses a batch as a whole, and with it the client.
                    tracing::info!(topic, limit, "batches are made smaller for this topic");
                    self.batch_bytes = limit;
                    return self.rebuild(Rebuild::BatchSize);
                }
            }
            Err(error) => {
                let wait = lane.block(Instant::now(), self.last_request + 1, &error);
                tracing::error!(topic, error = %Chain(&error), retry_ms = wait.as_millis(), "lane waits for its topic");
            }
        }
        Ok(())
    }
}
