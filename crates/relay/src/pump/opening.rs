//! Opening lanes, beside the loop: a broker that does not answer delays nobody else.

use std::sync::Arc;

use tokio::time::Instant;

use super::Pump;
use crate::lane::{Lane, State};
use crate::topics::OpenError;

impl Pump {
    /// Looks up the lane's topics in a task of its own.
    pub(super) fn open(&mut self, lane: &Lane) {
        let (opener, publisher) = (self.session.opener.clone(), Arc::clone(&self.publisher));
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
        opened: Result<(String, u64, Result<(), OpenError>), tokio::task::JoinError>,
    ) {
        let Ok((topic, valid_from, result)) = opened else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(&topic) else {
            return;
        };
        if lane.state != State::Opening || lane.valid_from != valid_from {
            return;
        }
        match result {
            Ok(()) => {
                lane.state = State::Active;
                tracing::debug!(topic, epoch = lane.epoch, "lane active");
            }
            Err(error) => {
                let wait = lane.block(Instant::now(), self.last_request + 1);
                tracing::error!(topic, error = %error, retry_ms = wait.as_millis(), "lane waits for its topic");
            }
        }
    }
}
