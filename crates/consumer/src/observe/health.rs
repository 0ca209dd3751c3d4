//! The judgement: does the consumer get on.

use std::sync::Arc;
use std::time::Duration;

use dionysus_kafka::TopicPartition;
use dionysus_service::duration::rounded;
use dionysus_service::{Health, HealthLimits, Verdict};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Observer;
use super::view::{PartitionView, View};

/// A view of a consumer's health. Cheap to clone; outlives the consumer.
///
/// *Alive*: the main loop turns; waiting for a server that is away turns it too. *Ready*: the brokers answer, and no partition of ours stands
/// still because of a fault, or while messages wait. A member without partitions is ready.
#[derive(Clone, Debug)]
pub struct ConsumerHealth {
    observer: Arc<Observer>,
    limits: HealthLimits,
}

impl ConsumerHealth {
    pub(crate) fn new(observer: Arc<Observer>, limits: HealthLimits) -> Self {
        // The first to ask decides how often the brokers are asked.
        let limits = *observer.limits.get_or_init(|| limits);
        Self { observer, limits }
    }
}

impl Health for ConsumerHealth {
    fn alive(&self) -> Verdict {
        self.observer.main_loop.alive(&self.limits)
    }

    fn ready(&self) -> Verdict {
        self.observer.judge(&self.limits)
    }
}

impl Observer {
    pub(super) fn judge(&self, limits: &HealthLimits) -> Verdict {
        judge(&self.view(), limits.unready_after, Instant::now())
    }
}

fn judge(view: &View, unready_after: Duration, now: Instant) -> Verdict {
    let mut reasons = Vec::new();
    if view.stopping {
        reasons.push("shutting down".to_owned());
    }
    let silent = now.saturating_duration_since(view.answered);
    if silent >= unready_after {
        let cause = view.trouble.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
        reasons.push(format!("Kafka has not answered for {}{cause}", rounded(silent)));
    }
    for (place, partition) in &view.partitions {
        if let Some(still) = partition.stands_still(now).filter(|still| *still >= unready_after) {
            reasons.push(standstill(place, partition, still));
        }
    }
    Verdict { reasons, detail: detail(view, now) }
}

fn standstill(place: &TopicPartition, partition: &PartitionView, still: Duration) -> String {
    let TopicPartition { topic, partition: number } = place;
    let still = rounded(still);
    if let Some((_, cause)) = &partition.fault {
        return format!("{topic}[{number}] stands still for {still}: {cause}");
    }
    let waits = match partition.lag {
        1 => "1 message waits".to_owned(),
        lag => format!("{lag} messages wait"),
    };
    format!("{topic}[{number}] stands still for {still}, {waits}")
}

fn detail(view: &View, now: Instant) -> Value {
    let since = |then: Instant| now.saturating_duration_since(then).as_secs_f64();
    let partitions: Vec<Value> = view
        .partitions
        .iter()
        .map(|(place, partition)| {
            json!({
                "topic": place.topic,
                "partition": place.partition,
                "next_offset": partition.position,
                "lag_messages": partition.lag,
                "moved_s_ago": since(partition.moved),
                "fault": partition.fault.as_ref().map(|(at, cause)| json!({ "cause": cause, "s_ago": since(*at) })),
            })
        })
        .collect();
    json!({
        "kafka_answered_s_ago": since(view.answered),
        "trouble": view.trouble,
        "partitions": partitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::view::Answer;
    use chrono::Utc;

    const THRESHOLD: Duration = Duration::from_secs(30);

    struct Scene {
        view: View,
        start: Instant,
        place: TopicPartition,
    }

    impl Scene {
        fn new() -> Self {
            let start = Instant::now();
            let place = TopicPartition { topic: "v3_rentals".into(), partition: 2 };
            let mut view = View::new(start);
            view.assigned(&place, start);
            Self { view, start, place }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn answer(&mut self, at: u64, high: i64, ends: u64) {
            let answer = Answer { low: 0, high, ends };
            self.view.answered(&self.place, answer, self.at(at), Utc::now());
        }

        fn apply(&mut self, at: u64, next_offset: i64) {
            self.view.moved(&self.place, next_offset, None, self.at(at));
        }

        fn reasons(&self, at: u64) -> Vec<String> {
            judge(&self.view, THRESHOLD, self.at(at)).reasons
        }
    }

    #[test]
    fn who_has_applied_everything_is_ready_for_ever() {
        let mut scene = Scene::new();
        scene.apply(1, 10);
        for at in (10..1_000).step_by(10) {
            scene.answer(at, 10, 1);
        }
        assert_eq!(scene.reasons(1_000), [""; 0]);
    }

    #[test]
    fn a_partition_that_stands_still_while_messages_wait_makes_it_unready() {
        let mut scene = Scene::new();
        scene.apply(1, 10);
        scene.answer(1_000, 15, 0);
        assert_eq!(scene.reasons(1_001), [""; 0], "they came just now");
        scene.answer(1_025, 20, 0);
        scene.answer(1_030, 20, 0);
        assert_eq!(scene.reasons(1_031), ["v3_rentals[2] stands still for 31s, 10 messages wait"]);
        scene.apply(1_032, 11);
        scene.answer(1_033, 20, 0);
        assert_eq!(scene.reasons(1_040), [""; 0], "a backlog that shrinks is progress");
    }

    #[test]
    fn markers_of_transactions_are_no_lag_and_records_behind_them_are() {
        let mut scene = Scene::new();
        scene.apply(1, 10);
        // Three markers, or an aborted transaction, behind the last record.
        scene.answer(10, 13, 1);
        scene.answer(41, 13, 1);
        assert_eq!(scene.reasons(42), [""; 0]);
        // The log grows, and the end is not reached again.
        scene.answer(50, 14, 1);
        scene.answer(80, 14, 1);
        assert_eq!(scene.reasons(81), ["v3_rentals[2] stands still for 31s, 4 messages wait"]);
        scene.answer(82, 14, 2);
        assert_eq!(scene.reasons(83), [""; 0]);
    }

    #[test]
    fn a_fault_that_lasts_makes_it_unready_with_its_cause() {
        let mut scene = Scene::new();
        let place = scene.place.clone();
        scene.view.faulted(&place, "no such column", scene.at(0));
        scene.answer(20, 1, 0);
        scene.view.faulted(&place, "no such table", scene.at(25));
        scene.answer(29, 1, 0);
        assert_eq!(scene.reasons(29), [""; 0]);
        assert_eq!(scene.reasons(30), ["v3_rentals[2] stands still for 30s: no such table"]);
        scene.view.given_up(&place);
        assert_eq!(scene.reasons(31), [""; 0], "the next owner's to say");
    }

    #[test]
    fn who_starts_again_and_again_stands_still() {
        let mut scene = Scene::new();
        let place = scene.place.clone();
        for at in 0..=40 {
            scene.view.started(&place, Some(5));
            scene.answer(at, 6, 0);
        }
        assert_eq!(scene.reasons(40), ["v3_rentals[2] stands still for 40s, 1 message waits"]);
    }

    #[test]
    fn brokers_that_do_not_answer_make_it_unready() {
        let mut scene = Scene::new();
        scene.view.trouble = Some("no broker can be reached".into());
        assert_eq!(scene.reasons(30), ["Kafka has not answered for 30s: no broker can be reached"]);
    }
}
