//! Asking the brokers where the logs end, beside the workers.

use std::sync::Arc;

use chrono::Utc;
use dionysus_kafka::{Error, Subscriber, TopicPartition};
use dionysus_service::ask_in_rounds;
use tokio::time::Instant;

use super::view::Answer;
use super::{Observer, gauge};

/// Asks until dropped; returns at once if nobody wants to know. One partition after the other, so that there is one request at a time.
pub(crate) async fn look(subscriber: Arc<Subscriber>, observer: Arc<Observer>) {
    let Some(limits) = observer.limits.get().copied() else { return };
    let ask = async || {
        if let Err(error) = round(&subscriber, &observer).await {
            tracing::debug!(%error, "the end of a log is not known");
            observer.view().trouble = Some(error.to_string());
        }
    };
    let show = || observer.meters.ready.set(gauge(usize::from(observer.judge(&limits).is_good())));
    ask_in_rounds(limits, ask, show).await;
}

async fn round(subscriber: &Subscriber, observer: &Observer) -> Result<(), Error> {
    let ours: Vec<TopicPartition> = observer.view().partitions.keys().cloned().collect();
    if ours.is_empty() {
        return ping(subscriber, observer).await;
    }
    for place in ours {
        let TopicPartition { topic, partition } = &place;
        // What was read is asked first: the log only grows between the two questions.
        let Ok(ends) = subscriber.ends(topic, *partition) else { continue };
        let (low, high) = subscriber.watermarks(topic, *partition).await?;
        let answer = Answer { low, high, ends };
        observer.view().answered(&place, answer, Instant::now(), Utc::now());
    }
    Ok(())
}

/// A member without partitions has nothing to do; whether the brokers answer at all can be told all the same.
async fn ping(subscriber: &Subscriber, observer: &Observer) -> Result<(), Error> {
    let Some(topic) = observer.topics.keys().next() else { return Ok(()) };
    match subscriber.watermarks(topic, 0).await {
        Ok(_) | Err(Error::UnknownTopic { .. }) => {
            let mut view = observer.view();
            (view.answered, view.trouble) = (Instant::now(), None);
            Ok(())
        }
        Err(error) => Err(error),
    }
}
